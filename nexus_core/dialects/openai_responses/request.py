"""Read and check requests of OpenAI's Responses API."""

from __future__ import annotations

from nexus_core.dialects.openai_responses.demand import read_demand
from nexus_core.dialects.openai_responses.dialect import PATH
from nexus_core.dialects.reading.body import checked_model, checked_stream, read_object
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import DialectName, Operation


def read_request(operation: Operation, body: bytes, request_id: str = "") -> Request:
    """Parse and validate a client's request body; unknown fields pass.

    Raises:
        InvalidRequestError: not one JSON object, a repeated top-level key, a field that is missing
            or of another type, or a response that would have to be fetched later.
    """
    fields, spans = read_object(body)
    model = checked_model(fields)
    if fields.get("background") not in (None, False):
        raise InvalidRequestError(
            "background: Nexus keeps no responses that could be fetched later;"
            " leave it out and stream the answer",
            param="background",
        )
    return Request(
        id=request_id,
        path=PATH,
        dialect=DialectName.RESPONSES,
        operation=operation,
        model=model,
        is_streaming=checked_stream(fields),
        demand=read_demand(fields),
        body=body,
        spans=spans,
        parsed=fields,
    )
