"""Read and check requests of the Gemini API."""

from __future__ import annotations

import re

from nexus_core.dialects.gemini.inbound.demand import read_demand, read_embedding_demand
from nexus_core.dialects.gemini.inbound.names import camel
from nexus_core.dialects.gemini.inbound.paths import MODEL, Asked, Method
from nexus_core.dialects.reading.body import checked_model, read_object
from nexus_core.dialects.request import Request
from nexus_core.types import DialectName, JsonObject, Operation

# A key in the spelling of protobuf, which Google takes as well: `system_instruction`.
_SNAKE_KEY = re.compile(rb'"[a-z]+_[a-z_]+"[ \t\n\r]*:')


class GeminiRequest(Request, frozen=True, kw_only=True):
    """A request of the Gemini API; `parsed` has the keys in camel case, whichever came."""

    method: Method
    as_array: bool = False  # a stream as one JSON array

    @property
    def place(self) -> str:
        """The path with the model's name, and the form that a stream was asked for in."""
        form = "?alt=sse" if self.is_streaming and not self.as_array else ""
        return self.path.replace(MODEL, self.model) + form


def read_request(asked: Asked, operation: Operation, body: bytes, request_id: str) -> GeminiRequest:
    """Parse and validate a client's request body; unknown fields pass.

    Raises:
        InvalidRequestError: not one JSON object, a repeated top-level key, or a field that is
            missing or of another type.
    """
    given, spans = read_object(body)
    model = checked_model({"model": _model(asked, given)})
    fields: JsonObject = camel(given) if _SNAKE_KEY.search(body) else given
    is_embedding = operation is Operation.EMBEDDINGS
    demand = (
        read_embedding_demand(asked.method, fields) if is_embedding else read_demand(fields, model)
    )
    return GeminiRequest(
        id=request_id,
        path=asked.method.path,
        dialect=DialectName.GEMINI,
        operation=operation,
        model=model,
        is_streaming=asked.method.is_streaming,
        demand=demand,
        body=body,
        spans=spans,
        parsed=fields,
        method=asked.method,
        as_array=asked.as_array,
    )


def _model(asked: Asked, fields: JsonObject) -> object:
    """The model of the path; of the published path itself, which has none, that of the body."""
    if asked.model is not None:
        return asked.model
    model = fields.get("model")
    return model.removeprefix("models/") if isinstance(model, str) else model
