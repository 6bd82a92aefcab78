"""OpenAI's messages as Gemini's contents: turns, calls and their results, system instructions."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from nexus_core.translation.google import signatures
from nexus_core.translation.google.models import Family
from nexus_core.translation.google.parts import translate_parts
from nexus_core.translation.google.values import read_object, read_value
from nexus_core.translation.openai import JsonObject
from nexus_core.translation.report import Findings
from nexus_core.translation.schema.calls import Tools


@dataclass(slots=True)
class _Call:
    """A call in the history, and the place that waits for its result."""

    path: str
    part: JsonObject  # with its functionCall
    id: str | None  # None for a legacy function_call
    name: str
    response: JsonObject = field(default_factory=dict)  # the functionResponse; empty: none yet
    turn: list[JsonObject] = field(default_factory=list)  # the parts that it stands among


class Conversation:
    """Messages in, `contents` and the parts of `systemInstruction` out."""

    def __init__(self, family: Family, tools: Tools, findings: Findings) -> None:
        self._family = family
        self._tools = tools
        self._findings = findings
        # By the id, or the name, that a result will give; ids may come again in a later turn.
        self._waiting: defaultdict[tuple[str, str], deque[_Call]] = defaultdict(deque)
        self.system: list[JsonObject] = []
        self.contents: list[JsonObject] = []

    def translate(self, messages: list[Any]) -> None:
        """Take a request's messages, in order."""
        for index, message in enumerate(messages):
            self._take(message, f"messages[{index}]")
        for calls in self._waiting.values():
            for call in calls:
                self._findings.unsupported[call.path] = "Gemini needs a result of every call"
        if not self.contents and not self._findings.unsupported:
            self._findings.unsupported["messages"] = (
                "Gemini needs a message beside the instructions"
            )

    def _take(self, message: JsonObject, path: str) -> None:
        role = message["role"]
        if role != "function" and message.get("name") is not None:
            self._findings.ignore("messages[].name")
        match role:
            case "system" | "developer":
                self.system += self._parts(message, path)
            case "user":
                self._add("user", self._parts(message, path))
            case "assistant":
                self._take_assistant(message, path)
            case _:
                self._take_result(message, path)

    def _parts(self, message: JsonObject, path: str) -> list[JsonObject]:
        return translate_parts(message.get("content"), f"{path}.content", self._findings)

    def _add(self, role: str, parts: list[JsonObject]) -> list[JsonObject]:
        """Say something; turns of one role are one turn. Gives all parts of that turn."""
        if self.contents and self.contents[-1]["role"] == role:
            said: list[JsonObject] = self.contents[-1]["parts"]
            said += parts
            return said
        if parts:
            self.contents.append({"role": role, "parts": parts})
        return parts

    def _take_assistant(self, message: JsonObject, path: str) -> None:
        if message.get("audio") is not None:
            self._findings.unsupported[f"{path}.audio"] = "Gemini can't read audio kept at OpenAI"
        if message.get("reasoning_content"):
            self._findings.ignore("messages[].reasoning_content")  # signatures carry the thoughts
        parts = self._parts(message, path)
        if refusal := message.get("refusal"):
            parts.append({"text": refusal})
        if signature := signatures.unwrap(message.get("extra_content")):
            if not parts:
                parts.append({"text": ""})
            parts[-1]["thoughtSignature"] = signature
        calls = self._calls_of(message, path)
        # One signature, on the first of parallel calls, is all that Gemini makes and asks for.
        if calls and self._family.needs_signatures:
            calls[0].part.setdefault("thoughtSignature", signatures.DUMMY)
        self._add("model", parts + [call.part for call in calls])
        if calls:
            self._await_results(calls)

    def _calls_of(self, message: JsonObject, path: str) -> list[_Call]:
        found = []
        if legacy := message.get("function_call"):
            found.append(self._call(legacy, None, None, f"{path}.function_call"))
        for index, call in enumerate(message.get("tool_calls") or ()):
            at = f"{path}.tool_calls[{index}]"
            if call.get("type") == "custom":
                self._findings.unsupported[at] = "Gemini has no custom tools, only functions"
                continue
            found.append(self._call(call["function"], call["id"], call.get("extra_content"), at))
        return found

    def _call(
        self, function: JsonObject, call_id: str | None, extra_content: object, path: str
    ) -> _Call:
        name, text = function["name"], function["arguments"]
        arguments = self._arguments(name, text)
        if arguments is None:
            # What a model took for JSON; refusing it would end the conversation for good.
            arguments = {"arguments": text}
            self._findings.changed.append(
                f"{path}: arguments that are no JSON object → a text inside one"
            )
        part: JsonObject = {"functionCall": {"name": self._tools.sent(name), "args": arguments}}
        if call_id is not None and self._family.takes_call_ids:
            part["functionCall"]["id"] = call_id
        if signature := signatures.unwrap(extra_content):
            part["thoughtSignature"] = signature
        return _Call(path, part, call_id, name)

    def _arguments(self, name: str, text: str) -> JsonObject | None:
        """The arguments of a call as Gemini knows them; None for what is no JSON object."""
        if not text.strip():
            return {}
        given = read_value(text) if self._tools.is_wrapped(name) else read_object(text)
        sent = None if given is None else self._tools.to_provider(name, given)
        return sent if isinstance(sent, dict) else None

    def _await_results(self, calls: list[_Call]) -> None:
        """Open the next turn with a place for each result: it must hold all, before any text."""
        turn = self._add("user", [{"functionResponse": call.response} for call in calls])
        for call in calls:
            call.turn = turn
            key = ("name", call.name) if call.id is None else ("tool_call_id", call.id)
            self._waiting[key].append(call)

    def _take_result(self, message: JsonObject, path: str) -> None:
        """A tool's or (legacy) function's message: fill the place of the call it answers."""
        name = "name" if message["role"] == "function" else "tool_call_id"
        waiting = self._waiting[name, message[name]]
        if not waiting:
            why = "no call before it waits for this result, and Gemini needs the function's name"
            self._findings.unsupported[f"{path}.{name}"] = why
            return
        call = waiting.popleft()
        parts = self._parts(message, path)
        text = "\n".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        # Gemini 3 takes a "$ref" within a result for the name of a part of it, and finds none:
        # https://github.com/vercel/ai/issues/14369
        result = None if '"$ref"' in text else read_object(text)
        call.response["name"] = self._tools.sent(call.name)
        if call.id is not None and self._family.takes_call_ids:
            call.response["id"] = call.id
        call.response["response"] = {"output": text} if result is None else result
        if media and self._family.takes_media_results:
            call.response["parts"] = media
        else:
            call.turn += media
