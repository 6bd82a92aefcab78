"""Turn Gemini's system instruction and contents into the hub's list of messages."""

from __future__ import annotations

import json
from hashlib import sha256

from nexus_core.dialects.gemini.inbound.bridge.parts import (
    code_of,
    read_part,
    result_text,
    text_of,
)
from nexus_core.dialects.gemini.inbound.demand import contents_of, parts_of
from nexus_core.dialects.gemini.inbound.signatures import carried_by, is_own
from nexus_core.dialects.hub.conversation import Conversation
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_MAX_ID_CHARS = 40  # of a call, at OpenAI


def read_messages(fields: JsonObject, dropped: list[str]) -> list[JsonObject]:
    """The conversation as the hub's messages, in an order that every backend accepts.

    What is left out is added to `dropped`.

    Raises:
        InvalidRequestError: a field is invalid, or of a kind that only Gemini's models know.
    """
    reader = _Reader(dropped)
    instruction = parts_of(fields.get("systemInstruction"))
    reader.add_system(text_of(part, "systemInstruction") for part in instruction if "text" in part)
    for path, content in contents_of(fields):
        reader.read(content, path)
    return reader.messages()


class _Reader(Conversation):
    def __init__(self, dropped: list[str]) -> None:
        super().__init__()
        self._dropped = dropped
        self._open: list[tuple[str, str]] = []  # calls without a result: their ids and names
        self._calls = 0

    def read(self, content: JsonObject, path: str) -> None:
        """One turn."""
        parts = [(f"{path}.parts[{n}]", part) for n, part in enumerate(parts_of(content))]
        match content.get("role"):
            case None | "" | "user" | "function" | "tool":
                self._user(parts)
            case "model" | "assistant":
                self._model(parts)
            case "system":
                self.add_system(text_of(part, at) for at, part in parts if "text" in part)
            case _:
                raise InvalidRequestError(
                    f"{path}.role: user or model is required", param=f"{path}.role"
                )

    def _user(self, parts: list[tuple[str, JsonObject]]) -> None:
        shown: list[JsonObject] = []
        for path, part in parts:
            if is_object(response := part.get("functionResponse")):
                shown += self._result(response, f"{path}.functionResponse")
            elif part.get("thought") is not True:
                shown += read_part(part, path)
        self.add_user(shown)

    def _result(self, response: JsonObject, path: str) -> list[JsonObject]:
        """Add a function's result; gives its images and files, which only a user may send."""
        call_id = self._answered(response, path)
        text = result_text(response.get("response"))
        inner = response.get("parts")
        parts = [
            part
            for number, one in enumerate(inner if is_list(inner) else ())
            if is_object(one)
            for part in read_part(one, f"{path}.parts[{number}]")
        ]
        text = "\n\n".join((text, *(part["text"] for part in parts if part["type"] == "text")))
        media = [part for part in parts if part["type"] != "text"]
        return self.add_result(call_id, text, media)

    def _answered(self, response: JsonObject, path: str) -> str:
        """The id of the call that a result answers: by its id, else the first of its name."""
        given, name = response.get("id"), response.get("name")
        if isinstance(given, str) and given:
            call_id = _short(given)
            if any(call_id == known for known, _ in self._open):
                self._open = [one for one in self._open if one[0] != call_id]
                return call_id
        if not isinstance(name, str) or not name:
            raise InvalidRequestError(f"{path}.name: a string is required", param=f"{path}.name")
        for number, (call_id, called) in enumerate(self._open):
            if called == name:
                del self._open[number]
                return call_id
        return _short(given) if isinstance(given, str) and given else self._new_id()

    def _model(self, parts: list[tuple[str, JsonObject]]) -> None:
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[JsonObject] = []
        for path, part in parts:
            if is_object(call := part.get("functionCall")):
                calls.append(self._call(call, part.get("thoughtSignature"), path))
            elif part.get("thought") is True:
                signature = part.get("thoughtSignature")
                if "text" in part and (signature is None or is_own(signature)):
                    thoughts.append(text_of(part, path))
            elif "text" in part:
                texts.append(text_of(part, path))
            elif (code := code_of(part)) is not None:
                texts.append(f"\n{code}\n")
            elif "inlineData" in part or "fileData" in part:
                self._drop("contents[].parts[].inlineData")  # what a model drew
        self.add_assistant("".join(texts), "".join(thoughts), calls)

    def _call(self, call: JsonObject, signature: object, path: str) -> JsonObject:
        name, given = call.get("name"), call.get("id")
        if not isinstance(name, str) or not name:
            where = f"{path}.functionCall.name"
            raise InvalidRequestError(f"{where}: a string is required", param=where)
        call_id = _short(given) if isinstance(given, str) and given else self._new_id()
        self._open.append((call_id, name))
        arguments = json.dumps(call.get("args") or {}, ensure_ascii=False, separators=(",", ":"))
        made: JsonObject = {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        if (extra := carried_by(signature)) is not None:
            made["extra_content"] = extra
        return made

    def _new_id(self) -> str:
        self._calls += 1
        return f"call_{self._calls}"

    def _drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)


def _short(call_id: str) -> str:
    if len(call_id) <= _MAX_ID_CHARS:
        return call_id
    return f"call_{sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
