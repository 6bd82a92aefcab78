"""Fields that requests of several formats have: the model's name, and renaming it in place."""

from __future__ import annotations

import msgspec

from nexus_core.dialects.request import MAX_MODEL_CHARS, Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject


def rename_model(request: Request, model: str) -> bytes:
    """The request's body with another model's name; no other byte changes."""
    if model == request.model:
        return request.body
    start, end = request.spans["model"]
    return request.body[:start] + msgspec.json.encode(model) + request.body[end:]


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
