"""Keep thinking and its signatures in OpenAI's messages, for the next turn.

Anthropic requires its thinking blocks back unchanged, above all beside the results of tools.
OpenAI's format has no field for them, but its clients send messages back. So an answer has them

- as `thinking_blocks` on the message, for clients that append the message as it came, and
- as `extra_content.anthropic.thinking_blocks` of the first tool call, for clients that keep only
  content and tool calls.

`text_before` and `calls_before` are a block's place in the turn: the number of characters of the
content, and of tool calls, before it. In a stream the blocks come in pieces with an `index`, as
tool calls do, and clients join them in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nexus_core.types import JsonObject, is_list, is_object

# A stream keeps this much thinking for its first tool call; beyond it only the message has it.
MAX_KEPT_CHARS = 64 * 1024


class CarriedBlock(NamedTuple):
    """A thinking block to send back to Anthropic, and its place in the turn."""

    block: JsonObject
    text_before: int
    calls_before: int


def is_thinking(block: Mapping[str, object]) -> bool:
    """Whether it is a thinking block, redacted ones included."""
    return block.get("type") in {"thinking", "redacted_thinking"}


def carry(block: Mapping[str, object], text_before: int, calls_before: int) -> JsonObject | None:
    """A thinking block in the form for clients; None for one that can't be sent back."""
    sendable = _sendable(block)
    if sendable is None:
        return None
    return {**sendable, "text_before": text_before, "calls_before": calls_before}


def extra_content(carried: list[JsonObject]) -> JsonObject | None:
    """The `extra_content` of the first tool call, with the thinking blocks."""
    return {"anthropic": {"thinking_blocks": carried}} if carried else None


def carried_blocks(message: Mapping[str, object]) -> list[CarriedBlock]:
    """The thinking blocks that a client sent back with an assistant message, in order."""
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
    """Only the fields that Anthropic accepts; None for a block without its signature."""
    match block:
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if signature:
            return {"type": "thinking", "thinking": text, "signature": signature}
        case {"type": "redacted_thinking", "data": str(data)} if data:
            return {"type": "redacted_thinking", "data": data}
        case _:
            return None


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
