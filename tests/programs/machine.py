"""A model that can do one thing: have two files read with the tool it is given, and repeat a word.

It answers in every format that a backend may have, as a stream or whole. In that of chat
completions all of its calls have the same id, as those of some servers do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.scripted_upstream import Exchange, answers, streams

LIST, WHERE = "list.txt", "periwinkle"  # a file, and a word in it
FILE, WORD = "note.txt", "heliotrope"
SAID = f"The note says {WORD}."
SIGNATURE = "c2lnbmF0dXJlLW9mLXRoZS10aG91Z2h0"
THOUGHT = "A note is read with a tool."

Json = dict[str, Any]

_COMPACTS, _END_CHARS = "summary of the conversation", 20_000  # an agent makes room


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    arguments: Json


def move(tools: Mapping[str, Json], conversation: str, folder: str) -> Call | str:
    """What it does next.

    Args:
        tools: the schema of each tool's arguments.
        conversation: all that was said and done, as JSON.
        folder: where the files are.
    """
    if _COMPACTS in conversation[-_END_CHARS:]:
        return "<summary>Files were read; the note is left.</summary>"
    if WORD in conversation:
        return SAID
    path = f"{folder}/{FILE if WHERE in conversation else LIST}"
    for name in ("Read", "read_file", "read"):
        if name in tools:
            properties = tools[name].get("properties", {})
            key = next(key for key in ("file_path", "filePath", "path") if key in properties)
            return Call(name, {key: path})
    for name, key in (("exec_command", "cmd"), ("run_shell_command", "command")):
        if name in tools:
            return Call(name, {key: f"cat {path}"})
    return "A title"


def prepared(folder: Path) -> Machine:
    """It, and the files in a folder of work."""
    work = folder / "work"
    work.mkdir()
    (work / LIST).write_text(f"{WHERE}: see {FILE}\n")
    (work / FILE).write_text(f"{WORD}\n")
    return Machine(str(work))


@dataclass
class Machine:
    """Serves as a script of a ScriptedUpstream; keeps what it was asked."""

    folder: str
    asked: list[tuple[str, Json]] = field(default_factory=list)  # path and body

    async def __call__(self, exchange: Exchange) -> None:
        path = exchange.target.partition("?")[0]
        body = json.loads(exchange.body)
        self.asked.append((path, body))
        if path.endswith("/chat/completions"):
            events, whole = self._chat(body)
        elif path.endswith("/v1/messages"):
            events, whole = self._anthropic(body)
        elif path.endswith("/v1/responses"):
            events, whole = self._responses(body)
        elif "enerateContent" in path:
            events, whole = self._google(body)
        else:
            return await answers({"error": {"message": "no such path"}}, 404)(exchange)
        if body.get("stream") or ":stream" in path:
            return await streams(events)(exchange)
        return await answers(whole)(exchange)

    # OpenAI's chat completions --------------------------------------------------------------------

    def _chat(self, body: Json) -> tuple[list[bytes], Json]:
        tools = {tool["function"]["name"]: tool["function"] for tool in body.get("tools", [])}
        schemas = {name: tool.get("parameters", {}) for name, tool in tools.items()}
        done = move(schemas, json.dumps(body["messages"]), self.folder)
        usage = {"prompt_tokens": 900, "completion_tokens": 12, "total_tokens": 912}
        if isinstance(done, Call):
            function = {"name": done.tool, "arguments": json.dumps(done.arguments)}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            deltas: list[Json] = [{"reasoning_content": THOUGHT}, {"tool_calls": [call]}]
            reason = "tool_calls"
        else:
            deltas, reason = [{"content": part} for part in done.split(" ")], "stop"
            deltas = [{"content": f"{part} "} for part in done.split(" ")]
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        chunks = [
            {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            for delta in ({"role": "assistant", "content": ""}, *deltas)
        ]
        chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        chunks.append({**base, "choices": [], "usage": usage})
        message: Json = {"role": "assistant", "content": None}
        for delta in deltas:
            message |= delta
        if isinstance(done, str):
            message["content"] = done
        choice = {"index": 0, "message": message, "finish_reason": reason}
        whole = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
        return [_data(chunk) for chunk in chunks] + [b"data: [DONE]\n\n"], whole

    # Anthropic ------------------------------------------------------------------------------------

    def _anthropic(self, body: Json) -> tuple[list[bytes], Json]:
        tools = {tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools", [])}
        done = move(tools, json.dumps(body["messages"]), self.folder)
        thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
        blocks: list[Json] = []
        if thinks:
            blocks.append({"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE})
        if isinstance(done, Call):
            use = {
                "type": "tool_use",
                "id": f"toolu_{len(self.asked)}",
                "name": done.tool,
                "input": done.arguments,
            }
            blocks.append(use)
        else:
            blocks.append({"type": "text", "text": done})
        reason = "tool_use" if isinstance(done, Call) else "end_turn"
        usage = {"input_tokens": 900, "output_tokens": 12}
        message = {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": usage,
        }
        return list(_anthropic_events(message, blocks)), message

    # OpenAI's Responses ---------------------------------------------------------------------------

    def _responses(self, body: Json) -> tuple[list[bytes], Json]:
        listed = [*body.get("tools", [])]
        for each in body["input"] if isinstance(body["input"], list) else []:
            listed += each.get("tools", []) if each.get("type") == "additional_tools" else []
        tools = {tool["name"]: tool.get("parameters", {}) for tool in listed if "name" in tool}
        done = move(tools, json.dumps(body["input"]), self.folder)
        item: Json
        if isinstance(done, Call):
            item = {
                "type": "function_call",
                "id": f"fc_{len(self.asked)}",
                "call_id": "call_1",
                "name": done.tool,
                "arguments": json.dumps(done.arguments),
                "status": "completed",
            }
        else:
            text = {"type": "output_text", "text": done, "annotations": []}
            item = {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "content": [text],
                "status": "completed",
            }
        response = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": body["model"],
            "status": "completed",
            "output": [item],
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "usage": {
                "input_tokens": 900,
                "output_tokens": 12,
                "total_tokens": 912,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }
        started = {**response, "status": "in_progress", "output": [], "usage": None}
        events: list[Json] = [
            {"type": "response.created", "response": started},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ]
        numbered = [{**event, "sequence_number": n} for n, event in enumerate(events)]
        return [_event(event) for event in numbered], response

    # Google ---------------------------------------------------------------------------------------

    def _google(self, body: Json) -> tuple[list[bytes], Json]:
        declared = [
            one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])
        ]
        tools = {
            one["name"]: one.get("parametersJsonSchema") or one.get("parameters") or {}
            for one in declared
        }
        done = move(tools, json.dumps(body["contents"]), self.folder)
        if isinstance(done, Call):
            call = {"name": done.tool, "args": done.arguments}
            part: Json = {"functionCall": call, "thoughtSignature": SIGNATURE}
        else:
            part = {"text": done}
        candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
        usage = {"promptTokenCount": 900, "candidatesTokenCount": 12, "totalTokenCount": 912}
        whole = {
            "candidates": [{**candidate, "finishReason": "STOP"}],
            "usageMetadata": usage,
            "modelVersion": "gemini-x",
        }
        return [_data({"candidates": [candidate]}), _data({**whole, "candidates": _END})], whole


_END = [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}]


def _data(value: Json) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _event(value: Json) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def _anthropic_events(message: Json, blocks: list[Json]) -> Iterator[bytes]:
    start = {**message, "content": [], "stop_reason": None}
    yield _event({"type": "message_start", "message": start})
    for index, block in enumerate(blocks):
        empty, deltas = _in_pieces(block)
        yield _event({"type": "content_block_start", "index": index, "content_block": empty})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": delta, "usage": message["usage"]})
    yield _event({"type": "message_stop"})


def _in_pieces(block: Json) -> tuple[Json, list[Json]]:
    match block["type"]:
        case "thinking":
            return {**block, "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case "tool_use":
            text = json.dumps(block["input"])
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": text[:5]},
                {"type": "input_json_delta", "partial_json": text[5:]},
            ]
        case _:
            return {**block, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
