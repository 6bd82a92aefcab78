"""Requests that pass to a backend of the same format: their bytes, and what has to be mended."""

from __future__ import annotations

from nexus_core.dialects.anthropic.inbound.signatures import MARK, PREFIX
from nexus_core.dialects.reading.body import rename_model
from nexus_core.dialects.request import Request
from nexus_core.types import JsonObject, is_list, is_object


def write_passed(request: Request, model: str) -> bytes:
    """The body with the backend's own model name; no other byte changes.

    But thinking of another provider's model, which came back with Nexus's signature in place of
    Anthropic's, is left out: Anthropic would refuse the request for it.
    """
    if MARK not in request.body:
        return rename_model(request, model)
    from nexus_core.dialects.hub.envelope import dumped_fields

    messages = [_without_foreign(message) for message in request.parsed["messages"]]
    return dumped_fields({**request.parsed, "model": model, "messages": messages})


def _without_foreign(message: JsonObject) -> JsonObject:
    content = message.get("content")
    if not is_list(content):
        return message
    return {**message, "content": [block for block in content if not _is_foreign(block)]}


def _is_foreign(block: object) -> bool:
    signature = block.get("signature") if is_object(block) else None
    return isinstance(signature, str) and signature.startswith(PREFIX)
