"""Demand of an OpenAI request: capabilities, tokens, limits, conversation prefixes; read once."""

from __future__ import annotations

from typing import assert_never

from nexus_core.dialects.hub.limits import LIMITS, completion_limit, number_of_choices
from nexus_core.dialects.reading.body import wrong_entry
from nexus_core.dialects.reading.prefixes import (
    CHARS_PER_TOKEN,
    TOKENS_PER_IMAGE,
    TOKENS_PER_MESSAGE,
    dumped,
)
from nexus_core.dialects.request import Demand
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Capability, JsonObject, JsonValue, Operation

_MAX_HASHED_CHARS = 64 * 1024  # of a conversation: enough to recognise it

_CHAT = frozenset({Capability.CHAT})
_COMPLETIONS = frozenset({Capability.COMPLETIONS})
_EMBEDDINGS = frozenset({Capability.EMBEDDINGS})
_TOOLS = frozenset({Capability.TOOLS})
_JSON = frozenset({Capability.JSON})
_BY_PART = {
    "image_url": Capability.VISION,
    "input_audio": Capability.AUDIO,
    "file": Capability.FILES,
}


def read_demand(operation: Operation, fields: JsonObject) -> Demand:
    """Validate the prompt and read the request's demand, in one walk.

    Values of a wrong type, beside the prompt, demand nothing.

    Args:
        fields: a body with a model's name; anything else in it may be missing or of any type.

    Raises:
        InvalidRequestError: the prompt is missing or of another type; names the field.
    """
    match operation:
        case Operation.CHAT:
            return _chat(fields)
        case Operation.COMPLETIONS:
            return _text(fields, "prompt", _COMPLETIONS)
        case Operation.EMBEDDINGS:
            return _text(fields, "input", _EMBEDDINGS)
        case _:
            assert_never(operation)


def _text(fields: JsonObject, name: str, wanted: frozenset[Capability]) -> Demand:
    given: JsonValue = fields.get(name)
    if not isinstance(given, str | list):
        raise InvalidRequestError(f"{name}: a string or a list is required", param=name)
    return _demand(fields, wanted, _size(given) // CHARS_PER_TOKEN)


def _demand(
    fields: JsonObject,
    wanted: frozenset[Capability],
    prompt_tokens: int,
    prefixes: list[int] | None = None,
    places: dict[Capability, str] | None = None,
) -> Demand:
    """Build the demand, adding tools, JSON mode, limits and stream usage from the fields."""
    if tools := fields.get("tools") or fields.get("functions"):
        wanted |= _TOOLS
        prompt_tokens += len(dumped(tools)) // CHARS_PER_TOKEN
    form: JsonValue = fields.get("response_format")
    if isinstance(form, dict) and form.get("type") in ("json_object", "json_schema"):
        wanted |= _JSON
    limit, choices = None, 1
    if not fields.keys().isdisjoint(LIMITS):
        limit, choices = completion_limit(fields), number_of_choices(fields)
    options: JsonValue = fields.get("stream_options")
    key: JsonValue = fields.get("prompt_cache_key")
    return Demand(
        wanted,
        prompt_tokens,
        limit,
        choices,
        isinstance(options, dict) and options.get("include_usage") is True,
        tuple(prefixes) if prefixes else (),
        tuple(places.items()) if places else (),
        # https://platform.openai.com/docs/guides/prompt-caching
        hash((fields["model"], key)) if isinstance(key, str) and key else None,
    )


def _chat(fields: JsonObject) -> Demand:
    messages: JsonValue = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("messages: a non-empty list is required", param="messages")
    places: dict[Capability, str] = {}
    prefixes: list[int] = []  # a running hash over the messages, one value after each
    state, hashed, tokens = hash(fields["model"]), 0, TOKENS_PER_MESSAGE * len(messages)
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(role, str):
            raise wrong_entry(f"messages[{index}]", message, "role")
        content: JsonValue = message.get("content")
        if isinstance(content, str):
            tokens += len(content) // CHARS_PER_TOKEN
            text: str | bytes = content
        else:
            tokens += _parts(content, index, places)
            text = dumped(message) if hashed <= _MAX_HASHED_CHARS else b""
        if hashed <= _MAX_HASHED_CHARS:
            hashed += len(text)
            if hashed <= _MAX_HASHED_CHARS:
                state = hash((state, role, text))
                prefixes.append(state)
    return _demand(fields, _CHAT.union(places) if places else _CHAT, tokens, prefixes, places)


def _parts(content: JsonValue, index: int, places: dict[Capability, str]) -> int:
    """Tokens of a message's parts; notes the first place of each capability they need."""
    tokens = 0
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        need = _BY_PART.get(kind) if isinstance(kind, str) else None
        if need is None:
            tokens += _size(part.get("text")) // CHARS_PER_TOKEN
        else:
            if need not in places:
                places[need] = f"messages[{index}].content[{number}]"
            tokens += TOKENS_PER_IMAGE
    return tokens


def _size(value: JsonValue) -> int:
    """Characters of a text or of a list of texts; a token in a list of tokens counts as four."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(CHARS_PER_TOKEN if isinstance(item, int) else _size(item) for item in value)
    return 0
