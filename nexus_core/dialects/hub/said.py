"""Read what a model said from the hub's messages and deltas: text, refusal, thinking."""

from __future__ import annotations

from nexus_core.types import JsonObject, is_list, is_object

_REASONING = ("reasoning_content", "reasoning")  # the names that servers give thinking


def reasoning_in(message: JsonObject) -> str:
    """The thinking in a message or a delta, by any of its names."""
    for name in _REASONING:
        if isinstance(text := message.get(name), str) and text:
            return text
    return ""


def content_in(message: JsonObject) -> str:
    """The text in a message or a delta."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    given = [part.get("text") for part in content if is_object(part)] if is_list(content) else []
    return "".join(text for text in given if isinstance(text, str))


def refusal_in(message: JsonObject) -> str:
    """The refusal in a message or a delta."""
    refusal = message.get("refusal")
    return refusal if isinstance(refusal, str) else ""


def text_in(message: JsonObject) -> str:
    """The text and the refusal in a message or a delta: for formats with one place for both."""
    return content_in(message) + refusal_in(message)
