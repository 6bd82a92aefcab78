"""Read requests of countTokens: contents alone, or a whole request to generate."""

from __future__ import annotations

from nexus_core.dialects.gemini.inbound.names import camel
from nexus_core.dialects.gemini.inbound.paths import Asked, Method
from nexus_core.dialects.gemini.inbound.request import GeminiRequest, read_request
from nexus_core.dialects.hub.envelope import dumped_fields
from nexus_core.dialects.reading.body import read_object
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Operation, is_object

_WHOLE = "generateContentRequest"


def read_counted(model: str, body: bytes) -> GeminiRequest:
    """The request whose prompt is counted.

    Raises:
        InvalidRequestError: it is not valid; names the field.
    """
    asked = Asked(Method.GENERATE, model.removeprefix("models/"), as_array=False)
    fields, _ = read_object(body)
    inner = camel(fields).get(_WHOLE)
    if inner is None:
        return read_request(asked, Operation.CHAT, body, "")
    if not is_object(inner):
        raise InvalidRequestError(f"{_WHOLE}: an object is required", param=_WHOLE)
    return read_request(asked, Operation.CHAT, dumped_fields(inner), "")
