"""A request in the hub's format, made of a client's in another one."""

from __future__ import annotations

import json

import msgspec

from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import DialectName, JsonObject, Operation

_PATHS = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
}
_encode = msgspec.json.Encoder().encode


def hub_envelope(
    request: Request, fields: JsonObject, operation: Operation = Operation.CHAT
) -> Request:
    """The request with these fields of the operation's; the model's name is its own.

    Raises:
        InvalidRequestError: a value can't be written as JSON.
    """
    name = _encode(request.model)
    begin = b'{"model":'
    parsed = {"model": request.model, **fields}
    return Request(
        id=request.id,
        path=_PATHS[operation],
        dialect=DialectName.OPENAI_CHAT,
        operation=operation,
        model=request.model,
        is_streaming=request.is_streaming,
        demand=msgspec.structs.replace(request.demand, wants_usage=False),
        body=begin + name + b"," + dumped_fields(fields)[1:],
        spans={"model": (len(begin), len(begin) + len(name))},
        parsed=parsed,
    )


def without_field(request: Request, name: str) -> Request:
    """The same request in the hub's format without a field."""
    fields = {k: v for k, v in request.parsed.items() if k not in (name, "model")}
    return hub_envelope(request, fields, request.operation)


def with_any_object(request: Request) -> Request:
    """The same with a schema beside `json_object`, which alone binds llama.cpp to nothing.

    Servers that take no schema there leave it alone.
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    """
    if request.parsed.get("response_format") != {"type": "json_object"}:
        return request
    fields = {k: v for k, v in request.parsed.items() if k != "model"}
    fields["response_format"] = {"type": "json_object", "schema": {"type": "object"}}
    return hub_envelope(request, fields, request.operation)


def dumped_fields(fields: JsonObject) -> bytes:
    """A body as JSON.

    Raises:
        InvalidRequestError: a value can't be written as JSON.
    """
    try:
        return _encode(fields)
    except (UnicodeError, RecursionError, OverflowError):
        pass  # `json` writes lone surrogates and huge numbers, and says what is too deep
    try:
        return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("the body can't be written again as JSON") from error
