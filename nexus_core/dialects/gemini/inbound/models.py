"""Models as Google's API describes them. https://ai.google.dev/api/models"""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.dialects.gemini.models import family_of
from nexus_core.types import Capability, JsonObject, ModelDetails

_EMBEDS = ("embedContent", "batchEmbedContents", "countTokens")
_CHATS = ("generateContent", "streamGenerateContent", "countTokens")
_EMBEDDING = "embed"  # in the name of a model that does nothing else


def as_model(name: str, own_name: str, backend: str, details: ModelDetails | None) -> JsonObject:
    """A model; limits that nobody knows are left out.

    Args:
        own_name: by which its backend knows it.
    """
    embeds = _EMBEDDING in own_name.lower() or (
        details is not None and Capability.CHAT in details.lacks
    )
    found: JsonObject = {
        "name": f"models/{name}",
        "version": own_name,
        "displayName": name,
        "description": f"{own_name} at {backend}" if backend else own_name,
        "supportedGenerationMethods": list(_EMBEDS if embeds else _CHATS),
    }
    if details is not None and details.context_tokens:
        found["inputTokenLimit"] = details.context_tokens
    if own_name.lower().startswith("gemini") and not embeds:
        limit = family_of(own_name).max_output_tokens
        if limit is not None:
            found["outputTokenLimit"] = limit
    return found


def page_of(names: Sequence[str], start: int, size: int) -> tuple[Sequence[str], JsonObject]:
    """A page of a list of names, and `nextPageToken` where another one follows."""
    end = start + size
    return names[start:end], {"nextPageToken": str(end)} if end < len(names) else {}
