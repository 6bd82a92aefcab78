"""Turn OpenAI's list of messages into Anthropic's system prompt and turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import cast

from nexus_core.dialects.anthropic.models import Family
from nexus_core.dialects.anthropic.parts import Part, cache_marker, content_blocks, text_block
from nexus_core.dialects.anthropic.thinking_blocks import (
    CarriedBlock,
    carried_blocks,
    is_thinking,
)
from nexus_core.dialects.anthropic.tool_ids import to_anthropic_id
from nexus_core.dialects.history import Placed, calls_of, repair_history
from nexus_core.dialects.hub.request import Message
from nexus_core.dialects.parsing import parse_finite_json
from nexus_core.dialects.report import Findings
from nexus_core.dialects.tool_calls.tools import Tools
from nexus_core.types import JsonObject, is_object


@dataclass(slots=True)
class Conversation:
    """System prompt and turns of a translated history, and findings for later steps."""

    system: list[JsonObject] = field(default_factory=list)
    messages: list[JsonObject] = field(default_factory=list)
    called: list[str] = field(default_factory=list)  # every tool name of the history, once

    @property
    def is_prefilled(self) -> bool:
        """Whether the last message is an assistant's, which the model would have to continue."""
        return bool(self.messages) and self.messages[-1]["role"] == "assistant"

    @property
    def lacks_thinking(self) -> bool:
        """Whether the tool use in progress has no thinking, or a client lost it."""
        if len(self.messages) < 2 or not _has(self.messages[-1], "tool_result"):
            return False
        first = self.messages[-2]["content"][0]
        return not is_thinking(first)


def read_conversation(
    messages: Sequence[Message], family: Family, tools: Tools, findings: Findings
) -> Conversation:
    """Translate the history.

    System messages go on top wherever they stand. Turns of one role in a row become one, because
    all results of a turn's tool calls have to be in the one user turn after it, ahead of its text.
    """
    reader = _Reader(family, tools, findings)
    for placed in repair_history(messages, findings):
        reader.read(placed)
    return reader.conversation()


def _has(message: JsonObject, kind: str) -> bool:
    return any(block["type"] == kind for block in message["content"])


class _Reader:
    def __init__(self, family: Family, tools: Tools, findings: Findings) -> None:
        self._family = family
        self._tools = tools
        self._findings = findings
        self._system: list[JsonObject] = []
        self._turns: list[tuple[str, list[JsonObject]]] = []
        self._called: dict[str, None] = {}

    def read(self, placed: Placed) -> None:
        path, message = placed
        if message.get("name") and message["role"] != "tool":
            self._findings.ignore("messages[].name")
        blocks: list[JsonObject]
        match message["role"]:
            case "system" | "developer":
                self._system += self._marked(self._content(message, path), message)
                return
            case "tool":
                blocks = [self._result(message, path)]
            case "assistant":
                blocks = self._assistant(placed)
            case _:
                blocks = self._content(message, path)
        role = "assistant" if message["role"] == "assistant" else "user"
        self._add(role, self._marked(blocks, message))

    def conversation(self) -> Conversation:
        messages = [{"role": role, "content": blocks} for role, blocks in self._turns]
        return Conversation(self._system, messages, list(self._called))

    def _add(self, role: str, blocks: list[JsonObject]) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1][0] == role:
            turn = self._turns[-1][1]
            if is_thinking(blocks[0]) and all(block["type"] == "text" for block in turn):
                # A turn that goes on with a tool's results has to begin with its thinking.
                thinking = [*takewhile(is_thinking, blocks)]
                turn[:0], blocks = thinking, blocks[len(thinking) :]
            turn.extend(blocks)
        else:
            self._turns.append((role, blocks))

    def _content(self, message: Mapping[str, object], path: str) -> list[JsonObject]:
        content = cast("str | list[Part] | None", message.get("content"))
        return content_blocks(content, f"{path}.content", self._family, self._findings)

    def _marked(self, blocks: list[JsonObject], message: Mapping[str, object]) -> list[JsonObject]:
        """A cache marker on the message itself is about its last block."""
        marker = cache_marker(message)
        if marker is not None and blocks:
            blocks[-1]["cache_control"] = marker
        return blocks

    def _result(self, message: JsonObject, path: str) -> JsonObject:
        block: JsonObject = {
            "type": "tool_result",
            "tool_use_id": to_anthropic_id(message["tool_call_id"]),
        }
        content = self._content(message, path)
        if content:
            # Anthropic wants the marker on the result, not on what is within it.
            markers = [part.pop("cache_control") for part in content if "cache_control" in part]
            if markers:
                block["cache_control"] = markers[-1]
            block["content"] = content
        return block

    def _assistant(self, placed: Placed) -> list[JsonObject]:
        path, message = placed
        if message.get("audio"):
            self._findings.unsupported[f"{path}.audio"] = (
                "Anthropic's models do not support audio input"
            )
        texts = self._content(message, path)
        refusal = message.get("refusal")
        if refusal and refusal.strip():
            texts.append(text_block(refusal))
        calls = self._calls(placed)
        thinking = carried_blocks(message) if self._family.thinking != "none" else []
        return _in_place(thinking, texts, calls)

    def _calls(self, placed: Placed) -> list[JsonObject]:
        blocks: list[JsonObject] = []
        for place, call_id, call in calls_of(placed):
            if call.get("type") == "custom":
                self._findings.unsupported[place] = "Anthropic has no custom tools"
                continue
            function = call["function"]
            block = self._call(call_id, function["name"], function["arguments"], place)
            marker = cache_marker(call)
            if marker is not None:
                block["cache_control"] = marker
            blocks.append(block)
        return blocks

    def _call(self, call_id: str, name: str, arguments: str, place: str) -> JsonObject:
        self._called[name] = None
        return {
            "type": "tool_use",
            "id": to_anthropic_id(call_id),
            "name": self._tools.sent(name),
            "input": self._input(name, arguments, place),
        }

    def _input(self, name: str, arguments: str, place: str) -> JsonObject:
        """The arguments as an object; what a model wrote wrongly is kept as text within one."""
        if not arguments.strip():
            return {}
        try:
            parsed: object = parse_finite_json(arguments)
        except ValueError:
            parsed = None
        if is_object(parsed) or (parsed is not None and self._tools.is_wrapped(name)):
            parsed = self._tools.to_provider(name, parsed)
        if is_object(parsed):
            return parsed
        self._findings.changed.append(f"{place}: arguments that are no JSON object, sent as text")
        return {"arguments": arguments}


def _in_place(
    thinking: list[CarriedBlock], texts: list[JsonObject], calls: list[JsonObject]
) -> list[JsonObject]:
    """Order text, tool calls and returned thinking as in the original turn.

    Text is split around thinking only if it is one block, as every answer's content is.
    """
    blocks: list[JsonObject] = []
    text_at = calls_at = 0
    for carried in thinking:
        if len(texts) == 1 and carried.text_before > text_at:
            blocks += _slice(texts[0], text_at, carried.text_before)
            text_at = carried.text_before
        if carried.calls_before > calls_at:
            blocks += calls[calls_at : carried.calls_before]
            calls_at = carried.calls_before
        blocks.append(carried.block)
    if text_at:
        blocks += _slice(texts[0], text_at, None)
    else:
        blocks += texts
    blocks += calls[calls_at:]
    while blocks and is_thinking(blocks[-1]):
        blocks.pop()  # an answer cut off while thinking: Anthropic refuses a turn that ends so
    return blocks


def _slice(block: JsonObject, start: int, end: int | None) -> list[JsonObject]:
    """A piece of a text block; a cache marker stays on the last one."""
    text = block["text"][start:end]
    if not text.strip():
        return []
    return [{**block, "text": text}] if end is None else [text_block(text)]
