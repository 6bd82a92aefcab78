"""Read and check requests of Anthropic's Messages API."""

from __future__ import annotations

from nexus_core.dialects.anthropic.inbound.demand import read_demand
from nexus_core.dialects.reading.body import checked_model, checked_stream, read_object
from nexus_core.dialects.request import Request
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
    return Request(
        id=request_id,
        path=PATH,
        dialect=DialectName.ANTHROPIC,
        operation=operation,
        model=model,
        is_streaming=checked_stream(fields),
        demand=demand,
        body=body,
        spans=spans,
        parsed=fields,
    )
