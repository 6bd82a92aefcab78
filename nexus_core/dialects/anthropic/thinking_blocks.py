"""Keep thinking and its signatures in OpenAI's messages, for the next turn.

Anthropic wants its thinking blocks back unchanged, above all beside the results of tools. OpenAI's
format has no place for them, but its clients return what they were given. So an answer has them

- as `thinking_blocks` on the message, for clients that append the message as it came, and
- as `extra_content.anthropic.thinking_blocks` of the first tool call, for clients that keep only
  content and tool calls.

`text_before` and `calls_before` tell where in the turn a block stood: after how many characters of
the content, and after how many tool calls. In a stream the blocks come in pieces with an `index`,
as tool calls do, and clients join them in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nexus_core.types import JsonObject, is_list, is_object

# A stream keeps this much thinking for its first tool call; beyond it only the message has it.
MAX_KEPT_CHARS = 64 * 1024


class CarriedBlock(NamedTuple):
    """A thinking block as Anthropic takes it back, and where it belongs."""

    block: JsonObject
    text_before: int
    calls_before: int


def is_thinking(block: Mapping[str, object]) -> bool:
    """Whether it is a block of thinking, readable or not."""
    return block.get("type") in {"thinking", "redacted_thinking"}


def carry(block: Mapping[str, object], text_before: int, calls_before: int) -> JsonObject | None:
    """A thinking block of an answer as clients get it; None when it can't be sent back."""
    sendable = _sendable(block)
    if sendable is None:
        return None
    return {**sendable, "text_before": text_before, "calls_before": calls_before}


def extra_content(carried: list[JsonObject]) -> JsonObject | None:
    """What the first tool call keeps of them."""
    return {"anthropic": {"thinking_blocks": carried}} if carried else None


def carried_blocks(message: Mapping[str, object]) -> list[CarriedBlock]:
    """The thinking blocks that a client returned with an assistant message, in order."""
    blocks = message.get("thinking_blocks")
    if not is_list(blocks):
        blocks = _kept_by_calls(message.get("tool_calls"))
    carried: list[CarriedBlock] = []
    for block in blocks:
        if not is_object(block):
            continue
        sendable = _sendable(block)
        if sendable is not None:
            places = _count(block.get("text_before")), _count(block.get("calls_before"))
            carried.append(CarriedBlock(sendable, *places))
    return carried


def _kept_by_calls(calls: object) -> list[object]:
    for call in calls if is_list(calls) else []:
        match call:
            case {"extra_content": {"anthropic": {"thinking_blocks": [*blocks]}}}:
                return blocks
            case _:
                pass
    return []


def _sendable(block: Mapping[str, object]) -> JsonObject | None:
    """Just the fields that Anthropic takes; None for a block without its signature."""
    match block:
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if signature:
            return {"type": "thinking", "thinking": text, "signature": signature}
        case {"type": "redacted_thinking", "data": str(data)} if data:
            return {"type": "redacted_thinking", "data": data}
        case _:
            return None


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
