"""Write responses from the hub's answers: the response around its items, items, usage, outcome."""

from __future__ import annotations

import json
import time

from nexus_core.dialects.hub.said import (
    content_in,
    estimated_usage,
    first_choice,
    reasoning_in,
    refusal_in,
)
from nexus_core.dialects.openai_responses.bridge.calls import Call, extra_of
from nexus_core.dialects.openai_responses.bridge.tools import Tools
from nexus_core.dialects.openai_responses.carried import Carried
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Thinking:
    """How an answer shows its thinking, and whether it carries it for the next turn."""

    def __init__(self, fields: JsonObject) -> None:
        reasoning, include = fields.get("reasoning"), fields.get("include")
        asked = reasoning if is_object(reasoning) else {}
        # A summary is what clients show to people; what was not summarised is the text itself.
        wanted = asked.get("summary") or asked.get("generate_summary")
        self.is_summary = wanted not in (None, "none")
        self.is_carried = is_list(include) and "reasoning.encrypted_content" in include

    def item(self, item_id: str, text: str, carried: Carried) -> JsonObject:
        """A whole reasoning item."""
        item: JsonObject = {"id": item_id, "type": "reasoning", "summary": []}
        if text and self.is_summary:
            item["summary"] = [{"type": "summary_text", "text": text}]
        elif text:
            item["content"] = [{"type": "reasoning_text", "text": text}]
        if self.is_carried:
            told = "" if self.is_summary else text
            item["encrypted_content"] = Carried(carried.blocks, carried.calls, told).sealed()
        return item


def response_fields(request: Request, model: str) -> JsonObject:
    """A response in progress; what the client asked for is repeated in it, as OpenAI does."""
    asked = request.parsed
    reasoning, text, metadata = (asked.get(name) for name in ("reasoning", "text", "metadata"))
    effort = reasoning.get("effort") if is_object(reasoning) else None
    summary = reasoning.get("summary") if is_object(reasoning) else None
    form: JsonObject = {"format": {"type": "text"}, "verbosity": "medium"}
    if is_object(text):
        form |= {name: value for name, value in text.items() if value is not None}
    tools, parallel = asked.get("tools"), asked.get("parallel_tool_calls")
    return {
        "id": f"resp_{request.id or 'unknown'}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": asked.get("max_tool_calls"),
        "model": model,
        "output": [],
        "parallel_tool_calls": parallel if isinstance(parallel, bool) else True,
        "previous_response_id": None,
        "prompt_cache_key": asked.get("prompt_cache_key"),
        "reasoning": {"effort": effort, "summary": summary},
        "safety_identifier": asked.get("safety_identifier"),
        "service_tier": "default",
        "store": False,
        "temperature": asked.get("temperature", 1.0),
        "text": form,
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": tools if is_list(tools) else [],
        "top_logprobs": asked.get("top_logprobs") or 0,
        "top_p": asked.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
        "user": asked.get("user"),
        "metadata": metadata if is_object(metadata) else {},
    }


def usage_fields(usage: TokenUsage) -> JsonObject:
    """OpenAI's usage, whose input_tokens are all of the prompt's."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def incomplete_reason(finish_reason: object, last: Call | None) -> str | None:
    """Why an answer is incomplete; None where it is not.

    Args:
        last: its last call; where that is whole, the client can go on.
    """
    reason = _INCOMPLETE.get(finish_reason) if isinstance(finish_reason, str) else None
    is_whole = last is not None and last.is_whole
    return None if reason == "max_output_tokens" and is_whole else reason


def ended(
    response: JsonObject, output: list[JsonObject], usage: TokenUsage, why: str | None
) -> JsonObject:
    """The response at its end; `why` it is incomplete, if it is."""
    status = "completed" if why is None else "incomplete"
    return {
        **response,
        "status": status,
        "incomplete_details": None if why is None else {"reason": why},
        "completed_at": int(time.time()) if why is None else None,
        "output": output,
        "usage": usage_fields(usage),
    }


def message_item(item_id: str, part: JsonObject, status: str) -> JsonObject:
    """A message of one part."""
    item: JsonObject = {"id": item_id, "type": "message", "role": "assistant", "status": status}
    return {**item, "content": [part]}


def text_item_part(text: str, logprobs: list[object]) -> JsonObject:
    """A part of text."""
    return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}


def logprobs_in(choice: JsonObject) -> list[object]:
    """The logprobs of a choice's text, in the form that both formats have."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if is_object(logprobs) else None
    return content if is_list(content) else []


# A whole answer -----------------------------------------------------------------------------------


def write_response(
    request: Request, model: str, body: bytes, usage: TokenUsage | None
) -> JsonObject:
    """Write a chat completion as a response.

    Raises:
        ValueError: it is not a completion.
    """
    fields = parse_json(body, allows_nan=True)
    choice, message = first_choice(fields)
    output, last = _Output(request, choice).items(message)
    if usage is None:
        usage = estimated_usage(request, sum(len(json.dumps(item)) for item in output))
    why = incomplete_reason(choice.get("finish_reason"), last)
    if why is not None and output and output[-1]["type"] == "message":
        output[-1]["status"] = "incomplete"
    response = response_fields(request, model)
    if isinstance(tier := fields.get("service_tier") if is_object(fields) else None, str):
        response["service_tier"] = tier
    return ended(response, output, usage, why)


class _Output:
    """The items of a whole answer."""

    def __init__(self, request: Request, choice: JsonObject) -> None:
        self._request = request
        self._thinking = Thinking(request.parsed)
        self._tools = Tools(request.parsed)
        self._logprobs = logprobs_in(choice)
        self._made: list[JsonObject] = []

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._request.id or 'unknown'}_{len(self._made)}"

    def items(self, message: JsonObject) -> tuple[list[JsonObject], Call | None]:
        """The items, and the last call among them."""
        thought, blocks = reasoning_in(message), message.get("thinking_blocks")
        kept = [one for one in blocks if is_object(one)] if is_list(blocks) else []
        if thought or (kept and self._thinking.is_carried):
            item = self._thinking.item(self._id("rs"), thought, Carried(kept))
            self._made.append(item)
        if text := content_in(message):
            part = text_item_part(text, self._logprobs)
            if text.strip():
                self._made.append(message_item(self._id("msg"), part, "completed"))
        if refusal := refusal_in(message):
            part = {"type": "refusal", "refusal": refusal}
            self._made.append(message_item(self._id("msg"), part, "completed"))
        calls, last = message.get("tool_calls"), None
        for number, piece in enumerate(calls if is_list(calls) else ()):
            last = (self._call(piece, number) if is_object(piece) else None) or last
        return self._made, last

    def _call(self, piece: JsonObject, number: int) -> Call | None:
        function = piece.get("function")
        name = function.get("name") if is_object(function) else None
        if not is_object(function) or not isinstance(name, str) or not name:
            return None
        call_id = piece.get("id")
        if not isinstance(call_id, str) or not call_id:
            call_id = f"call_{self._request.id}_{number}"
        extra = extra_of(piece)
        if extra is not None and self._thinking.is_carried:
            carried = Carried(calls={call_id: extra})
            self._made.append(self._thinking.item(self._id("rs"), "", carried))
        tool = self._tools.called(name)
        call = Call(tool, self._id(Call.prefix(tool)), call_id)
        given = function.get("arguments")
        call.add(given if isinstance(given, str) else json.dumps(given or {}))
        self._made.append(call.item())
        return call
