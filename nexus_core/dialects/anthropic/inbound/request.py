"""Read and check requests of Anthropic's Messages API."""

from __future__ import annotations

from nexus_core.dialects.anthropic.inbound.demand import read_demand
from nexus_core.dialects.reading.body import checked_model, read_object
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import DialectName, Operation

PATH = "/v1/messages"


def read_request(operation: Operation, body: bytes, request_id: str = "") -> Request:
    """Parse and validate a client's request body; unknown fields pass.

    Raises:
        InvalidRequestError: not one JSON object, a repeated top-level key, or a field that is
            missing or of another type.
    """
    fields, spans = read_object(body)
    model = checked_model(fields)
    demand = read_demand(fields)
    stream = fields.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequestError("stream: true or false is required", param="stream")
    return Request(
        id=request_id,
        path=PATH,
        dialect=DialectName.ANTHROPIC,
        operation=operation,
        model=model,
        is_streaming=stream is True,
        demand=demand,
        body=body,
        spans=spans,
        parsed=fields,
    )
