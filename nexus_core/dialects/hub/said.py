"""Read what a model said from the hub's answers and deltas: text, refusal, thinking."""

from __future__ import annotations

from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, JsonValue, is_list, is_object

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


def first_choice(fields: JsonValue) -> tuple[JsonObject, JsonObject]:
    """The first choice of a whole answer, and its message.

    Raises:
        ValueError: it is no chat completion; the message is for people.
    """
    choices = fields.get("choices") if is_object(fields) else None
    choice = choices[0] if is_list(choices) and choices else None
    message = choice.get("message") if is_object(choice) else None
    if not is_object(choice) or not is_object(message):
        raise ValueError("answered without a message")
    return choice, message


def estimated_usage(request: Request, text_bytes: int) -> TokenUsage:
    """The usage of an answer whose backend reported none."""
    return TokenUsage(
        prompt_tokens=request.demand.prompt_tokens, completion_tokens=-(-text_bytes // 4)
    )
