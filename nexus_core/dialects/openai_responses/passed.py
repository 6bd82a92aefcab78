"""Requests that pass to a backend of the same format: their bytes, but for the model's name."""

from __future__ import annotations

from nexus_core.dialects.hub.envelope import dumped_fields
from nexus_core.dialects.openai_responses.carried import MARK, is_own
from nexus_core.dialects.reading.body import rename_model
from nexus_core.dialects.request import Request
from nexus_core.types import is_list, is_object


def has_own_tools(request: Request) -> bool:
    """Whether tools are offered that are no functions, which some servers refuse."""
    fields = request.parsed
    tools, items = fields.get("tools"), fields.get("input")
    kinds = [tool.get("type") for tool in (tools if is_list(tools) else ()) if is_object(tool)]
    if any(kind != "function" for kind in kinds):
        return True
    return is_list(items) and any(
        is_object(item) and item.get("type") == "additional_tools" for item in items
    )


def write_passed(request: Request, model: str) -> bytes:
    """The body with the backend's own model name; no other byte changes, with one exception.

    Thinking of another provider's model, which came back with Nexus's content in place of
    OpenAI's, is left out: nobody else can open it.
    """
    given = request.parsed.get("input")
    if MARK not in request.body or not is_list(given):
        return rename_model(request, model)
    items = [
        item for item in given if not (is_object(item) and is_own(item.get("encrypted_content")))
    ]
    return dumped_fields({**request.parsed, "model": model, "input": items})
