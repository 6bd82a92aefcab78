"""Translate OpenAI's messages into Gemini's contents and system instructions."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.dialects.gemini import signatures
from nexus_core.dialects.gemini.models import Family
from nexus_core.dialects.gemini.parts import translate_parts
from nexus_core.dialects.gemini.values import read_object, read_value
from nexus_core.dialects.history import Placed, calls_of, repair_history
from nexus_core.dialects.hub.request import Message
from nexus_core.dialects.report import Findings
from nexus_core.dialects.tool_calls.tools import Tools
from nexus_core.types import JsonObject, is_object


class Conversation:
    """Translator of messages into `contents` and the parts of `systemInstruction`."""

    def __init__(self, family: Family, tools: Tools, findings: Findings) -> None:
        self._family = family
        self._tools = tools
        self._findings = findings
        self._names: dict[str, str] = {}  # the called functions', by the call's id
        self.system: list[JsonObject] = []
        self.contents: list[JsonObject] = []

    def translate(self, messages: Sequence[Message]) -> None:
        """Translate a request's messages, in order."""
        for placed in repair_history(messages, self._findings):
            self._take(placed)
        for turn in self.contents:
            # What a tool gave beside text stands behind the results, which must come first.
            parts: list[JsonObject] = turn["parts"]
            parts.sort(key=lambda part: "functionResponse" not in part)
        if not self.contents and not self._findings.unsupported:
            self._findings.unsupported["messages"] = (
                "Gemini requires a message besides the instructions"
            )

    def _take(self, placed: Placed) -> None:
        path, message = placed
        role = message["role"]
        if role != "tool" and message.get("name") is not None:
            self._findings.ignore("messages[].name")
        match role:
            case "system" | "developer":
                self.system += self._parts(message, path)
            case "user":
                self._add("user", self._parts(message, path))
            case "assistant":
                self._take_assistant(placed)
            case _:
                self._take_result(message, path)

    def _parts(self, message: JsonObject, path: str) -> list[JsonObject]:
        return translate_parts(message.get("content"), f"{path}.content", self._findings)

    def _add(self, role: str, parts: list[JsonObject]) -> None:
        """Add parts; consecutive turns of one role become one turn."""
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        elif parts:
            self.contents.append({"role": role, "parts": parts})

    def _take_assistant(self, placed: Placed) -> None:
        path, message = placed
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
        calls = self._calls_of(placed)
        # One signature, on the first of parallel calls, is all that Gemini makes and asks for.
        if calls and self._family.needs_signatures:
            calls[0].setdefault("thoughtSignature", signatures.DUMMY)
        self._add("model", parts + calls)

    def _calls_of(self, placed: Placed) -> list[JsonObject]:
        found: list[JsonObject] = []
        for at, call_id, call in calls_of(placed):
            if call.get("type") == "custom":
                self._findings.unsupported[at] = "Gemini has no custom tools, only functions"
                continue
            found.append(self._call(call["function"], call_id, call.get("extra_content"), at))
        return found

    def _call(
        self, function: JsonObject, call_id: str, extra_content: object, path: str
    ) -> JsonObject:
        name, text = function["name"], function["arguments"]
        arguments = self._arguments(name, text)
        if arguments is None:
            # What a model took for JSON; refusing it would end the conversation for good.
            arguments = {"arguments": text}
            self._findings.changed.append(
                f"{path}: arguments that are no JSON object → a text inside one"
            )
        part: JsonObject = {"functionCall": {"name": self._tools.sent(name), "args": arguments}}
        if self._family.takes_call_ids:
            part["functionCall"]["id"] = call_id
        if signature := signatures.unwrap(extra_content):
            part["thoughtSignature"] = signature
        self._names[call_id] = name
        return part

    def _arguments(self, name: str, text: str) -> JsonObject | None:
        """A call's arguments in Gemini's form; None if they are not a JSON object."""
        if not text.strip():
            return {}
        given = read_value(text) if self._tools.is_wrapped(name) else read_object(text)
        sent = None if given is None else self._tools.to_provider(name, given)
        return sent if is_object(sent) else None

    def _take_result(self, message: JsonObject, path: str) -> None:
        """Translate a tool's message, which follows its call."""
        call_id = message["tool_call_id"]
        parts = self._parts(message, path)
        text = "\n".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        # Gemini 3 takes a "$ref" within a result for the name of a part of it, and finds none:
        # https://github.com/vercel/ai/issues/14369
        result = None if '"$ref"' in text else read_object(text)
        response: JsonObject = {"name": self._tools.sent(self._names.get(call_id, ""))}
        if self._family.takes_call_ids:
            response["id"] = call_id
        response["response"] = {"output": text} if result is None else result
        if media and self._family.takes_media_results:
            response["parts"] = media
            media = []
        self._add("user", [{"functionResponse": response}, *media])
