"""Read and check OpenAI requests; renaming the model changes no other byte."""

from __future__ import annotations

import json

import msgspec

from nexus_core.dialects.openai_chat.demand import read_demand
from nexus_core.dialects.reading.body import Span, checked_model, read_object
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import DialectName, JsonValue, Operation

PATHS = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
}

_WITH_USAGE = b'{"include_usage": true}'


def read_request(operation: Operation, body: bytes, request_id: str = "") -> Request:
    """Parse and validate a client's request body.

    Only what routing and every backend rely on is checked; unknown fields pass.

    Raises:
        InvalidRequestError: not one JSON object, a repeated top-level key (a gateway and a backend
            could read different ones), or a field that is missing or of another type.
    """
    fields, spans = read_object(body)
    model = checked_model(fields)
    demand = read_demand(operation, fields)
    stream = fields.get("stream") if operation is not Operation.EMBEDDINGS else None
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequestError("stream: true or false is required", param="stream")
    return Request(
        id=request_id,
        path=PATHS[operation],
        dialect=DialectName.OPENAI_CHAT,
        operation=operation,
        model=model,
        is_streaming=stream is True,
        demand=demand,
        body=body,
        spans=spans,
        parsed=fields,
    )


def write_request(request: Request, model: str, *, adds_usage: bool = False) -> bytes:
    """The request's body with the backend's own model name; no other byte changes.

    Args:
        request: a request in this dialect.
        adds_usage: request the stream's usage too: changes or adds `stream_options`.
    """
    changes: list[tuple[Span, bytes]] = []
    if model != request.model:
        changes.append((request.spans["model"], msgspec.json.encode(model)))
    if adds_usage:
        span = request.spans.get("stream_options")
        if span is not None:
            changes.append((span, _with_usage(request.parsed["stream_options"])))
        else:
            begin = request.body.index(b"{") + 1
            changes.append(((begin, begin), b'"stream_options": ' + _WITH_USAGE + b", "))
    body = request.body
    for (start, end), value in sorted(changes, reverse=True):
        body = body[:start] + value + body[end:]
    return body


def _with_usage(options: JsonValue) -> bytes:
    """The client's own stream options, with usage requested."""
    if not isinstance(options, dict):
        return _WITH_USAGE
    return json.dumps({**options, "include_usage": True}).encode()
