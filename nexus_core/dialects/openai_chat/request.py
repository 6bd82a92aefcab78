"""Read and check OpenAI requests and answers without changing a byte that need not change."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from nexus_core.dialects.parsing import refuse_constant
from nexus_core.dialects.request import MAX_MODEL_CHARS
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Endpoint, JsonObject, JsonValue

MAX_DEPTH = 200  # of a request's objects and lists in each other

_REPLACED = frozenset({"model", "stream_options"})  # the values whose bytes may be changed
_WITH_USAGE = {"include_usage": True}

_WHITESPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """A checked request: its fields, and the very bytes it came in."""

    model: str
    is_streaming: bool
    fields: JsonObject = field(repr=False)
    body: bytes = field(repr=False)
    spans: Mapping[str, tuple[int, int]] = field(repr=False)  # bytes of values: see _REPLACED

    @property
    def wants_usage(self) -> bool:
        """The client asked for the usage of its stream."""
        options: JsonValue = self.fields.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    def body_for(self, model: str, *, adds_usage: bool = False) -> bytes:
        """The body to send where the model goes by `model`; only those bytes change.

        Args:
            adds_usage: ask for the stream's usage, too, which changes or adds `stream_options`.
        """
        changes: dict[tuple[int, int], bytes] = {}
        if model != self.model:
            changes[self.spans["model"]] = json.dumps(model, ensure_ascii=False).encode()
        if adds_usage:
            given: JsonValue = self.fields.get("stream_options")
            options = {**given, "include_usage": True} if isinstance(given, dict) else _WITH_USAGE
            text = json.dumps(options).encode()
            if (span := self.spans.get("stream_options")) is not None:
                changes[span] = text
            else:
                begin = self.body.index(b"{") + 1
                changes[begin, begin] = b'"stream_options": ' + text + b", "
        body = self.body
        for (start, end), value in sorted(changes.items(), reverse=True):
            body = body[:start] + value + body[end:]
        return body


def read_request(endpoint: Endpoint, body: bytes) -> OpenAIRequest:
    """Parse and check what a client sent.

    Only what routing and every backend rely on is checked; unknown fields pass.

    Raises:
        InvalidRequestError: not one JSON object, a repeated top-level key (a gateway and a backend
            could read different ones), or a field that is missing or of another type.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"the body is not UTF-8 at byte {error.start}") from error
    fields, spans = _read_object(text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(fields)
    model = _checked_model(fields)
    match endpoint:
        case Endpoint.CHAT_COMPLETIONS:
            _check_messages(fields)
        case Endpoint.COMPLETIONS:
            _check_text(fields, "prompt")
        case Endpoint.EMBEDDINGS:
            _check_text(fields, "input")
        case _:
            assert_never(endpoint)
    stream = fields.get("stream") if endpoint is not Endpoint.EMBEDDINGS else None
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequestError("stream: true or false is required", param="stream")
    in_bytes = {name: _in_bytes(text, *span) for name, span in spans.items()}
    return OpenAIRequest(model, bool(stream), fields, body, in_bytes)


def _check_depth(fields: JsonObject) -> None:
    """Level by level: whatever reads the body later may do so by recursion."""
    level: list[JsonObject | list[Any]] = [fields]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for outer in level
            for value in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(value, dict | list)
        ]
        if not level:
            return
    raise InvalidRequestError(f"the body is nested deeper than {MAX_DEPTH} levels")


def _in_bytes(text: str, start: int, end: int) -> tuple[int, int]:
    first = len(text[:start].encode())
    return first, first + len(text[start:end].encode())


def read_service_tier(fields: Mapping[str, object]) -> str | None:
    """Which tier served an answer, where it says so: tiers have prices of their own."""
    tier = fields.get("service_tier")
    return tier if isinstance(tier, str) else None


_DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def _read_object(text: str) -> tuple[JsonObject, dict[str, tuple[int, int]]]:
    """The top-level object's fields, and where the values of _REPLACED stand in the text.

    Walks the top level by hand, because the parser of the standard library tells neither where a
    value stands nor that a key came twice; every value is still parsed by it.
    """
    fields: JsonObject = {}
    spans: dict[str, tuple[int, int]] = {}
    try:
        at = _expect(text, _skip(text, 0), "{")
        if text[at : at + 1] != "}":
            while True:
                if text[at : at + 1] != '"':
                    raise ValueError(f"a key is expected at character {at}")
                key, at = _DECODER.raw_decode(text, at)
                start = _expect(text, _skip(text, at), ":")
                value, end = _DECODER.raw_decode(text, start)
                if key in fields:
                    raise InvalidRequestError(f"the key {key!r} stands twice", param=key)
                fields[key] = value
                if key in _REPLACED:
                    spans[key] = (start, end)
                at = _skip(text, end)
                if text[at : at + 1] != ",":
                    break
                at = _skip(text, at + 1)
        at = _expect(text, at, "}")
        if at != len(text):
            raise ValueError(f"there is more after the object, at character {at}")
    except RecursionError as error:
        raise InvalidRequestError("the body is not valid JSON: nested too deep") from error
    except ValueError as error:
        raise InvalidRequestError(f"the body is not valid JSON: {error}") from error
    return fields, spans


def _skip(text: str, at: int) -> int:
    match = _WHITESPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark!r} is expected at character {at}")
    return _skip(text, at + 1)


def _checked_model(fields: JsonObject) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("model: a non-empty string is required", param="model")
    if len(model) > MAX_MODEL_CHARS:
        raise InvalidRequestError(f"model: longer than {MAX_MODEL_CHARS} characters", param="model")
    try:
        model.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError("model: not valid Unicode", param="model") from error
    return model


def _check_text(fields: JsonObject, name: str) -> None:
    if not isinstance(fields.get(name), str | list):
        raise InvalidRequestError(f"{name}: a string or a list is required", param=name)


def _check_messages(fields: JsonObject) -> None:
    messages: JsonValue = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("messages: a non-empty list is required", param="messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidRequestError(
                f"messages[{index}]: an object is required", param=f"messages[{index}]"
            )
        if not isinstance(message.get("role"), str):
            raise InvalidRequestError(
                f"messages[{index}].role: a string is required", param=f"messages[{index}].role"
            )
