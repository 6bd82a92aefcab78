"""Content blocks of Anthropic's streams: what is kept of an open one, and its commonest event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from nexus_core.dialects.hub.chunk_bytes import TextFrame
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.tool_calls.arguments import ArgumentStream
from nexus_core.types import JsonObject


@dataclass(slots=True)
class Block:
    """An open content block of a stream."""

    kind: Literal["text", "tool", "thinking", "other"]
    place: int = 0  # tool: index among the calls; thinking: among the blocks; text: where it began
    input: JsonObject = field(default_factory=dict)  # what a tool use began with
    has_arguments: bool = False
    renaming: ArgumentStream | None = None  # of a tool use whose keys are not the client's
    chunk: TextFrame | None = None  # of a text or a tool's input, where nothing else changes
    run: TextRun | None = None  # of its events that only continue it
    citations: list[object] = field(default_factory=list)
    thinking: JsonObject = field(default_factory=dict)  # the whole block, while it may be kept


def block_index(data: JsonObject) -> int:
    """Which block an event is about.

    Raises:
        ValueError: it does not say.
    """
    index = data.get("index")
    if not isinstance(index, int):
        raise ValueError("an event names no content block")
    return index


def places_of(block: Mapping[str, object]) -> dict[str, int]:
    """What came before a block of thinking."""
    names = ("text_before", "calls_before")
    return {name: value if isinstance(value := block.get(name), int) else 0 for name in names}


class TextDelta(msgspec.Struct, tag="text_delta", tag_field="type", gc=False):
    """A piece of text."""

    text: str


class InputJsonDelta(msgspec.Struct, tag="input_json_delta", tag_field="type", gc=False):
    """A piece of a tool's input."""

    partial_json: str


class ContentBlockDelta(msgspec.Struct, gc=False):
    """The event, of a block that began before."""

    type: Literal["content_block_delta"]
    index: int
    delta: TextDelta | InputJsonDelta


DELTA_BEGINNING = b"event: content_block_delta\ndata: "  # of the event, as it is nearly always
decode_delta = msgspec.json.Decoder(ContentBlockDelta).decode  # of what follows


def block_run(event: bytes, separator: bytes, *, is_text: bool) -> TextRun | None:
    """The run of events like this one, of a text or of a tool's input."""
    # Blanks stand before its last bracket, so that nobody outside sees how long the text is.
    tail_at = event.rfind(b"}", 0, -1) + 1
    if event[tail_at:].strip(b" ") != b"}":
        return None
    name = b'"text"' if is_text else b'"partial_json"'
    return TextRun.like(event, name=name, tail_at=tail_at, varying=b" ", separator=separator)
