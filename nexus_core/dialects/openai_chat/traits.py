"""What a request itself shows of its needs: images, tools, JSON, its length, its conversation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from nexus_core.dialects.hub.limits import completion_limit, number_of_choices
from nexus_core.types import Capability, Endpoint, JsonObject, JsonValue

CHARS_PER_TOKEN = 4  # of English prose; close enough to tell a prompt that is far too long
_TOKENS_PER_IMAGE = 85  # the least that a model takes for one
_TOKENS_PER_MESSAGE = 4  # what a chat template adds
_MAX_HASHED_CHARS = 64 * 1024  # of a conversation: enough to tell it from others

_BY_PART = {
    "image_url": Capability.VISION,
    "input_audio": Capability.AUDIO,
    "file": Capability.FILES,
}


@dataclass(frozen=True, slots=True)
class Traits:
    """What a request asks of whoever serves it."""

    needs: frozenset[Capability] = frozenset()
    prompt_tokens: int = 0  # estimated
    max_tokens: int = 0  # that one answer may take; 0 where the client set no limit
    choices: int = 1  # how many answers it asks for
    # One number for each beginning of the conversation, the shortest first: equal for requests
    # that begin with the same messages. Meaningless outside this process.
    prefixes: tuple[int, ...] = ()
    # Where a need of one field stands, by its first place: messages[0].content[1].
    places: tuple[tuple[Capability, str], ...] = ()

    def place_of(self, need: Capability) -> str | None:
        """The path of the first field that shows the need; None where the whole request does."""
        return dict(self.places).get(need)


NO_TRAITS = Traits()


def read_traits(endpoint: Endpoint, fields: JsonObject) -> Traits:
    """Look at a request whose outer shape was checked; what makes no sense shows nothing."""
    needs = set(_ENDPOINT_NEEDS.get(endpoint, ()))
    places: dict[Capability, str] = {}
    if fields.get("tools") or fields.get("functions"):
        needs.add(Capability.TOOLS)
    form: JsonValue = fields.get("response_format")
    if isinstance(form, dict) and form.get("type") in ("json_object", "json_schema"):
        needs.add(Capability.JSON)
    is_chat = endpoint is Endpoint.CHAT_COMPLETIONS
    messages: list[JsonObject] | None = fields.get("messages") if is_chat else None
    prompt = 0
    if isinstance(messages, list):
        for index, message in enumerate(messages):
            prompt += _TOKENS_PER_MESSAGE + _message_tokens(message, index, places)
        needs |= places.keys()
    else:
        prompt += _size(fields.get("prompt", fields.get("input"))) // CHARS_PER_TOKEN
    if Capability.TOOLS in needs:
        tools = fields.get("tools") or fields.get("functions")
        prompt += len(_dumped(tools)) // CHARS_PER_TOKEN
    return Traits(
        needs=frozenset(needs),
        prompt_tokens=prompt,
        max_tokens=completion_limit(fields) or 0,
        choices=number_of_choices(fields),
        prefixes=tuple(_prefixes(fields["model"], messages)) if isinstance(messages, list) else (),
        places=tuple(places.items()),
    )


_ENDPOINT_NEEDS = {
    Endpoint.COMPLETIONS: (Capability.COMPLETIONS,),
    Endpoint.EMBEDDINGS: (Capability.EMBEDDINGS,),
    Endpoint.CHAT_COMPLETIONS: (Capability.CHAT,),
}


def _message_tokens(message: JsonObject, index: int, places: dict[Capability, str]) -> int:
    content: JsonValue = message.get("content")
    if not isinstance(content, list):
        return _size(content) // CHARS_PER_TOKEN
    tokens = 0
    for number, part in enumerate(content):
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        need = _BY_PART.get(kind) if isinstance(kind, str) else None
        if need is None:
            tokens += _size(part.get("text")) // CHARS_PER_TOKEN
        else:
            if need not in places:
                places[need] = f"messages[{index}].content[{number}]"
            tokens += _TOKENS_PER_IMAGE
    return tokens


def _size(value: JsonValue) -> int:
    """Characters of a text or of a list of texts; a list of tokens counts four for each."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(CHARS_PER_TOKEN if isinstance(item, int) else _size(item) for item in value)
    return 0


def _prefixes(model: str, messages: list[JsonObject]) -> Iterator[int]:
    """A running hash over the messages, one value after each."""
    state, read = hash(model), 0
    for message in messages:
        content = message.get("content")
        text = content if isinstance(content, str) else _dumped(message)
        read += len(text)
        if read > _MAX_HASHED_CHARS:
            return
        state = hash((state, message.get("role"), text))
        yield state


def _dumped(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except RecursionError:  # it could be read, with not much room left
        return ""
