"""Read and check OpenAI requests; renaming the model changes no other byte."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from nexus_core.dialects.openai_chat.demand import read_demand
from nexus_core.dialects.parsing import refuse_constant
from nexus_core.dialects.request import MAX_MODEL_CHARS, Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import DialectName, JsonObject, JsonValue, Operation

MAX_DEPTH = 200  # of a request's objects and lists in each other

PATHS = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
}

_REPLACED = frozenset({"model", "stream_options"})  # the values whose bytes may be changed
_WITH_USAGE = {"include_usage": True}

# JSON's marks with the blanks around them.
_OPEN = re.compile(r"[ \t\n\r]*\{[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_AFTER_VALUE = re.compile(r"[ \t\n\r]*([,}])[ \t\n\r]*")
_CLOSE = re.compile(r"\}[ \t\n\r]*")


def read_request(operation: Operation, body: bytes, request_id: str = "") -> Request:
    """Parse and validate a client's request body.

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
    demand = read_demand(operation, fields)
    stream = fields.get("stream") if operation is not Operation.EMBEDDINGS else None
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequestError("stream: true or false is required", param="stream")
    if not text.isascii():
        spans = {name: _in_bytes(text, *span) for name, span in spans.items()}
    return Request(
        id=request_id,
        path=PATHS[operation],
        dialect=DialectName.OPENAI_CHAT,
        operation=operation,
        model=model,
        is_streaming=bool(stream),
        demand=demand,
        body=body,
        model_span=spans["model"],
        options_span=spans.get("stream_options"),
        parsed=fields,
    )


def write_request(request: Request, model: str, *, adds_usage: bool = False) -> bytes:
    """The request's body with the backend's own model name; no other byte changes.

    Args:
        request: a request in this dialect.
        adds_usage: request the stream's usage too: changes or adds `stream_options`.
    """
    changes: dict[tuple[int, int], bytes] = {}
    if model != request.model and request.model_span is not None:
        changes[request.model_span] = json.dumps(model, ensure_ascii=False).encode()
    if adds_usage:
        given: JsonValue = request.parsed.get("stream_options")
        options = {**given, "include_usage": True} if isinstance(given, dict) else _WITH_USAGE
        text = json.dumps(options).encode()
        if request.options_span is not None:
            changes[request.options_span] = text
        else:
            begin = request.body.index(b"{") + 1
            changes[begin, begin] = b'"stream_options": ' + text + b", "
    body = request.body
    for (start, end), value in sorted(changes.items(), reverse=True):
        body = body[:start] + value + body[end:]
    return body


def _check_depth(fields: JsonObject) -> None:
    """Refuse a body nested too deep, level by level: later readers may recurse."""
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


_DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def _read_object(text: str) -> tuple[JsonObject, dict[str, tuple[int, int]]]:
    """The top-level object's fields, and where the values of _REPLACED stand in the text.

    Walks the top level by hand, because the parser of the standard library reports neither where a
    value stands nor that a key came twice; every value is still parsed by it.
    """
    fields: JsonObject = {}
    spans: dict[str, tuple[int, int]] = {}
    try:
        opened = _OPEN.match(text) or _expected("{", text, 0)
        at = opened.end()
        if closed := _CLOSE.match(text, at):
            at = closed.end()
        else:
            mark = ","
            while mark == ",":
                if text[at : at + 1] != '"':
                    raise ValueError(f"a key is expected at character {at}")
                key, at = _DECODER.raw_decode(text, at)
                colon = _COLON.match(text, at) or _expected(":", text, at)
                start = colon.end()
                value, end = _DECODER.raw_decode(text, start)
                if key in fields:
                    raise InvalidRequestError(f"duplicate key {json.dumps(key)}", param=key)
                fields[key] = value
                if key in _REPLACED:
                    spans[key] = (start, end)
                after = _AFTER_VALUE.match(text, end) or _expected("}", text, end)
                mark, at = after[1], after.end()
        if at != len(text):
            raise ValueError(f"data after the end of the object, at character {at}")
    except RecursionError as error:
        raise InvalidRequestError("the body is not valid JSON: nested too deep") from error
    except ValueError as error:
        raise InvalidRequestError(f"the body is not valid JSON: {error}") from error
    return fields, spans


def _expected(mark: str, text: str, at: int) -> NoReturn:
    at = len(text) - len(text[at:].lstrip(" \t\n\r"))
    raise ValueError(f"{mark!r} is expected at character {at}")


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
