"""Demand of a Messages request: capabilities, tokens, limit, prefixes; read once, in one walk."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_core.dialects.reading.body import wrong_entry
from nexus_core.dialects.reading.prefixes import (
    CHARS_PER_TOKEN,
    TOKENS_PER_IMAGE,
    TOKENS_PER_MESSAGE,
    Prefixes,
    dumped,
)
from nexus_core.dialects.request import Demand
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Capability, JsonObject, JsonValue, is_list, is_object

BILLING = "x-anthropic-billing-header:"  # begins a block that is no part of the prompt
_MAX_TYPE_CHARS = 60
_MEDIA = {"image": Capability.VISION, "document": Capability.FILES}


def read_demand(fields: JsonObject) -> Demand:
    """Validate the conversation, and read what the request asks of model and backend.

    Values of a wrong type, beside the messages, demand nothing.

    Raises:
        InvalidRequestError: `messages` is missing or of another type; names the field.
    """
    messages: JsonValue = fields.get("messages")
    if not is_list(messages) or not messages:
        raise InvalidRequestError("messages: a non-empty list is required", param="messages")
    walk = _Walk(fields["model"])
    for block in system_blocks(fields.get("system")):
        walk.block(block, "system")
    walk.prefixes.add("system")
    for index, message in enumerate(messages):
        role = message.get("role") if is_object(message) else None
        if not is_object(message) or not isinstance(role, str):
            raise wrong_entry(f"messages[{index}]", message, "role")
        walk.content(message.get("content"), f"messages[{index}].content")
        walk.prefixes.add(role)
    wanted = {Capability.CHAT, *walk.places}
    tokens = walk.chars // CHARS_PER_TOKEN + walk.media * TOKENS_PER_IMAGE
    tokens += TOKENS_PER_MESSAGE * len(messages)
    if tools := fields.get("tools"):
        wanted.add(Capability.TOOLS)
        if (provided := _provider_tool(tools)) is not None:
            wanted.add(Capability.PROVIDER_TOOLS)
            walk.places[Capability.PROVIDER_TOOLS] = provided
        tokens += len(dumped(tools)) // CHARS_PER_TOKEN
    config = fields.get("output_config")
    if fields.get("output_format") or (is_object(config) and config.get("format")):
        wanted.add(Capability.JSON)
    limit = fields.get("max_tokens")
    return Demand(
        capabilities=frozenset(wanted),
        prompt_tokens=tokens,
        completion_limit=limit if isinstance(limit, int) and limit > 0 else None,
        wants_usage=True,  # every answer of this format has it
        prefixes=walk.prefixes.found,
        places=tuple(walk.places.items()),
    )


def system_blocks(system: object) -> Iterator[JsonObject]:
    """The blocks of a system prompt, without the client's note on billing.

    The note differs from request to request, and as the first text of the prompt it would keep
    every server from finding the rest in its cache.
    """
    given = [{"type": "text", "text": system}] if isinstance(system, str) else system
    for block in given if is_list(given) else ():
        if not is_object(block):
            continue
        text = block.get("text")
        if not (isinstance(text, str) and text.startswith(BILLING)):
            yield block


def _provider_tool(tools: object) -> str | None:
    """Place and type of the first tool that Anthropic defines; a client's own has no type."""
    for number, tool in enumerate(tools if is_list(tools) else ()):
        kind = tool.get("type") if is_object(tool) else None
        if isinstance(kind, str) and kind != "custom":
            return f"tools[{number}] ({kind[:_MAX_TYPE_CHARS]})"
    return None


class _Walk:
    """Adds up a conversation; cache markers, which wander from turn to turn, count as nothing."""

    def __init__(self, model: str) -> None:
        self.prefixes = Prefixes(model)
        self.chars = self.media = 0
        self.places: dict[Capability, str] = {}

    def content(self, content: object, path: str) -> None:
        if isinstance(content, str):
            self._text(content)
        for number, block in enumerate(content if is_list(content) else ()):
            if is_object(block):
                self.block(block, f"{path}[{number}]")

    def block(self, block: JsonObject, path: str) -> None:
        kind = block.get("type")
        need = _MEDIA.get(kind) if isinstance(kind, str) else None
        if need is not None:
            self._media(block, need, path)
        elif kind == "tool_result":
            self._text(str(block.get("tool_use_id")))
            self.content(block.get("content"), f"{path}.content")
        elif kind == "tool_use":
            self._text(f"{block.get('id')}{block.get('name')}")
            self._text(dumped(block.get("input")).decode("utf-8", "replace"))
        else:
            for name in ("text", "thinking"):
                if isinstance(text := block.get(name), str):
                    self._text(text)

    def _media(self, block: JsonObject, need: Capability, path: str) -> None:
        source = block.get("source")
        kind = source.get("type") if is_object(source) else None
        if is_object(source) and kind in ("text", "content"):  # no file, but a text
            self._text(str(source.get("data") or ""))
            self.content(source.get("content"), f"{path}.source.content")
            return
        self.media += 1
        self.places.setdefault(need, path)
        self.prefixes.take(
            str(source.get("data") or source.get("url")) if is_object(source) else ""
        )

    def _text(self, text: str) -> None:
        self.chars += len(text)
        self.prefixes.take(text)
