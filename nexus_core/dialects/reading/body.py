"""Read a request's JSON object: its fields, and where their values stand. Pure.

`msgspec` reads the body. `json` reads again what it refuses, and what may hold a key twice: it says
what is wrong, and accepts lone surrogates and huge numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeAlias

import msgspec
from msgspec.structs import replace

from nexus_core.dialects.parsing import refuse_constant
from nexus_core.dialects.request import MAX_MODEL_CHARS, Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_object

MAX_DEPTH = 200  # of a request's objects and lists in each other

Span: TypeAlias = tuple[int, int]  # where a value begins and ends, in bytes
_REPLACED = ("model", "stream", "stream_options", "system")  # the values whose bytes may be changed

_read_fields = msgspec.json.Decoder(dict[str, Any]).decode
_read_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_write = msgspec.json.Encoder().encode


def read_object(body: bytes) -> tuple[JsonObject, Mapping[str, Span]]:
    """The fields of a body that is one JSON object, and where those stand that may be replaced.

    Raises:
        InvalidRequestError: not one JSON object, nested too deep, or a repeated top-level key (a
            gateway and a backend could read different ones).
    """
    try:
        fields, values = _read_fields(body), _read_values(body)
    except (msgspec.MsgspecError, RecursionError):
        return read_carefully(body)
    spans: Mapping[str, Span] | None
    # If writing the values gives the same body, no key is repeated. A long prompt is not copied.
    if len(body) <= _MAX_WRITTEN_BYTES and _write(values) == body:
        spans = LateSpans(body)
    else:
        spans = _spans(body, values)
        if spans is None:
            return read_carefully(body)
    _check_depth(body, fields)
    return fields, spans


_MAX_WRITTEN_BYTES = 16 * 1024

# From one value to the next, and behind the last one. JSON's blanks are no others than these.
_TO_VALUE = re.compile(
    rb'[ \t\n\r]*[{,][ \t\n\r]*"[^"\\]*(?:\\.[^"\\]*)*"[ \t\n\r]*:[ \t\n\r]*'
).match
_TO_END = re.compile(rb"[ \t\n\r]*(?:\{[ \t\n\r]*)?\}[ \t\n\r]*").fullmatch


def _spans(body: bytes, values: Mapping[str, msgspec.Raw]) -> dict[str, Span] | None:
    """Where the values stand that may be replaced; None if a key is repeated.

    Goes from value to value, each key's once. With a repeated key the body has a value more, and
    that ends before the body does.
    """
    spans: dict[str, Span] = {}
    end = 0
    for key, value in values.items():
        head = _TO_VALUE(body, end)
        if head is None or not body.startswith(value, start := head.end()):
            return None
        end = start + len(memoryview(value))
        if key in _REPLACED:
            spans[key] = (start, end)
    return spans if _TO_END(body, end) else None


class LateSpans(Mapping[str, Span]):
    """Where the values stand in a body that repeats no key; looked for when somebody asks.

    Most bodies go on as they came.
    """

    __slots__ = ("_body", "_found")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._found: Mapping[str, Span] | None = None

    def __getitem__(self, key: str) -> Span:
        return self._spans()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans())

    def __len__(self) -> int:
        return len(self._spans())

    def _spans(self) -> Mapping[str, Span]:
        if self._found is None:
            self._found = _spans(self._body, _read_values(self._body)) or {}
        return self._found


def _check_depth(body: bytes, fields: JsonObject) -> None:
    """Refuse a body nested too deep, level by level: later readers may recurse."""
    if len(body) <= 2 * MAX_DEPTH or not (_is_frequent(b"{", body) or _is_frequent(b"[", body)):
        return
    level: list[JsonObject | list[Any]] = [fields]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for outer in level
            for value in (outer.values() if isinstance(outer, dict) else outer)
            if type(value) is not str and isinstance(value, _NESTED)
        ]
        if not level:
            return
    raise InvalidRequestError(f"the body is nested deeper than {MAX_DEPTH} levels")


_NESTED = (dict, list)


def _is_frequent(mark: bytes, body: bytes) -> bool:
    """Whether the mark is there often enough that half the levels may be of its kind."""
    at = -1
    for _ in range(MAX_DEPTH // 2):
        at = body.find(mark, at + 1)
        if at < 0:
            return False
    return True


# Fields that requests of several formats have ---------------------------------------------------


def rename_model(request: Request, model: str) -> bytes:
    """The request's body with another model's name; no other byte changes."""
    if model == request.model:
        return request.body
    start, end = request.spans["model"]
    return request.body[:start] + msgspec.json.encode(model) + request.body[end:]


def as_streaming(request: Request) -> Request:
    """The request as one for a stream; no other byte changes."""
    body, span = request.body, request.spans.get("stream")
    if span is None:
        begin = body.index(b"{") + 1
        body = body[:begin] + b'"stream":true,' + body[begin:]
    else:
        body = body[: span[0]] + b"true" + body[span[1] :]
    fields, spans = read_object(body)
    return replace(request, body=body, is_streaming=True, parsed=fields, spans=spans)


def checked_model(fields: JsonObject) -> str:
    """The name of the model in `model`.

    Raises:
        InvalidRequestError: it is missing, empty, too long or not valid Unicode.
    """
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


def checked_stream(fields: JsonObject, *, usual: bool = False) -> bool:
    """Whether a stream is asked for; `usual`: whether it is one where nothing is said.

    Raises:
        InvalidRequestError: `stream` is neither true nor false.
    """
    stream = fields.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequestError("stream: true or false is required", param="stream")
    return usual if stream is None else stream


def wrong_entry(path: str, entry: object, name: str) -> InvalidRequestError:
    """The error for an entry of a list that is no object, or whose field `name` is no string."""
    place, kind = (f"{path}.{name}", "a string") if is_object(entry) else (path, "an object")
    return InvalidRequestError(f"{place}: {kind} is required", param=place)


# Carefully ----------------------------------------------------------------------------------------

# JSON's marks with the blanks around them.
_OPEN = re.compile(r"[ \t\n\r]*\{[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_AFTER_VALUE = re.compile(r"[ \t\n\r]*([,}])[ \t\n\r]*")
_CLOSE = re.compile(r"\}[ \t\n\r]*")

_DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def read_carefully(body: bytes) -> tuple[JsonObject, dict[str, Span]]:
    """As `read_object`; slower, and says what is wrong.

    Raises:
        InvalidRequestError: as `read_object`.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"the body is not UTF-8 at byte {error.start}") from error
    fields, spans = _read_object(text)
    _check_depth(body, fields)
    if not text.isascii():
        spans = {name: _in_bytes(text, *span) for name, span in spans.items()}
    return fields, spans


def _in_bytes(text: str, start: int, end: int) -> Span:
    first = len(text[:start].encode())
    return first, first + len(text[start:end].encode())


def _read_object(text: str) -> tuple[JsonObject, dict[str, Span]]:
    """The top-level object's fields, and where their values stand in the text.

    Walks the top level by hand, because the parser of the standard library reports neither where a
    value stands nor that a key came twice; every value is still parsed by it.
    """
    fields: JsonObject = {}
    spans: dict[str, Span] = {}
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
