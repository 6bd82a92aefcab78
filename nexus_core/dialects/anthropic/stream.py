"""Translate Anthropic's event streams into OpenAI's chunks, one event at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping

from nexus_core.dialects.anthropic.blocks import (
    DELTA_BEGINNING,
    Block,
    TextDelta,
    block_index,
    block_run,
    decode_delta,
    places_of,
)
from nexus_core.dialects.anthropic.response import (
    ERROR_STATUSES,
    annotation_of,
    answer_id,
    call_names,
    error_words,
    finish_reason,
    read_usage,
    refusal_text,
)
from nexus_core.dialects.anthropic.thinking_blocks import (
    MAX_KEPT_CHARS,
    carry,
    extra_content,
)
from nexus_core.dialects.hub.answer import (
    AnswerHead,
    FinishReason,
    chunk,
    tool_call_arguments,
    tool_call_start,
    usage_chunk,
)
from nexus_core.dialects.hub.chunk_bytes import TextFrame
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import SseEvent
from nexus_core.dialects.tool_calls.mapping import UNCHANGED, CallMapping
from nexus_core.dialects.usage import read_count
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, JsonValue

MAX_OPEN_BLOCKS = 64  # at once; the provider opens one after the other
MAX_CITATIONS = 256  # of one text block

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


class AnthropicStream:
    """Translator of one stream. Holds no text but a bounded piece of thinking.

    `feed` takes event after event; at the end `is_complete` says whether the answer is whole. Usage
    goes to the client only if requested, but is always in `usage`, as of the last event.
    """

    def __init__(
        self,
        *,
        model: str,
        created: int,
        include_usage: bool,
        legacy_functions: bool = False,
        calls: CallMapping = UNCHANGED,
    ) -> None:
        """`legacy_functions`: the client offered `functions`, so a call is its `function_call`.

        `calls`: the mapping of tool calls from the request's translation.
        """
        self._head = AnswerHead("msg_unknown", model, created)
        self._include_usage = include_usage
        self._legacy = legacy_functions
        self._mapping = calls
        self._blocks: dict[int, Block] = {}
        self._counts: JsonObject = {}
        self._is_begun = False
        self._text_chars = 0
        self._text_chunk: TextFrame | None = None  # made with the first text block
        self._calls = 0
        self._thinking = 0  # blocks of it so far
        self._annotations = 0
        self._kept: list[JsonObject] | None = []  # thinking for the first call; None: no more
        self._kept_chars = 0
        self._stop_reason: object = None
        self._stop_details: object = None
        self.is_complete = False
        self.text_bytes = 0  # that `feed_texts` made

    @property
    def usage(self) -> TokenUsage | None:
        """What the provider reported so far."""
        return read_usage(self._counts)

    def finish(self) -> list[JsonObject]:
        """Chunks due after the last event; none: Anthropic's last event completes the answer."""
        return []

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Translate one event into chunks: usually one, none for pings and unknown events.

        Raises:
            StreamFailedError: the provider reported an error.
            ValueError: the stream is not one of a message.
        """
        data = parse_json(event.data)
        if not isinstance(data, dict):
            raise ValueError("an event is not an object")
        if self.is_complete:
            return []
        match data.get("type", event.event):
            case "message_start":
                return self._start(data)
            case "content_block_start":
                return self._start_block(data)
            case "content_block_delta":
                return self._continue_block(data)
            case "content_block_stop":
                return self._stop_block(data)
            case "message_delta":
                return self._take_outcome(data)
            case "message_stop":
                return self._stop()
            case "error":
                raise stream_failure(data)
            case _:
                return []

    def feed_texts(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Translate the events from there on that only continue a text or a tool's input.

        Gives where they end, and their chunks, encoded.
        """
        for block in self._blocks.values():
            if block.run is None or block.chunk is None:
                continue
            if (found := block.run.take(data, at)) is None:
                continue
            if block.kind == "text":
                self._text_chars += found.characters
            elif found.texts:
                block.has_arguments = True
            self.text_bytes += found.text_bytes
            return found.end, block.chunk.around(found.texts)
        return at, b""

    def learn(self, event: bytes, separator: bytes) -> None:
        """Know the next events like this one by their bytes, if it only continues a text."""
        if not event.startswith(DELTA_BEGINNING):
            return
        try:
            delta = decode_delta(event[len(DELTA_BEGINNING) :])
        except (ValueError, RecursionError):
            return  # of another kind, or not as usual
        block, is_text = self._blocks[delta.index], isinstance(delta.delta, TextDelta)
        if block.chunk is not None and is_text == (block.kind == "text"):
            block.run = block_run(event, separator, is_text=is_text)

    def _start(self, data: JsonObject) -> list[JsonObject]:
        message: JsonValue = data.get("message")
        if not isinstance(message, dict):
            raise ValueError("message_start has no message")
        if self._is_begun:
            raise ValueError("the stream begins twice")
        self._is_begun = True
        self._count(message.get("usage"))
        self._head = AnswerHead(answer_id(message), self._head.model, self._head.created)
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def _start_block(self, data: JsonObject) -> list[JsonObject]:
        if not self._is_begun:
            raise ValueError("a content block comes before the message")
        given: JsonValue = data.get("content_block")
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            raise ValueError("a content block has no type")
        if len(self._blocks) >= MAX_OPEN_BLOCKS:
            raise ValueError("too many content blocks are open")
        match given["type"]:
            case "text":
                block, chunks = self._start_text(given)
            case "tool_use":
                block, chunks = self._start_call(given)
            case "thinking" | "redacted_thinking":
                block, chunks = self._start_thinking(given)
            case _:  # what the provider's own tools do and find
                block, chunks = Block("other"), []
        self._blocks[block_index(data)] = block
        return chunks

    def _start_text(self, given: JsonObject) -> tuple[Block, list[JsonObject]]:
        if self._text_chunk is None:
            self._text_chunk = TextFrame.of(self._chunk({"content": ""}))
        block = Block("text", self._text_chars, chunk=self._text_chunk)
        return block, self._text(given.get("text"))

    def _start_call(self, given: JsonObject) -> tuple[Block, list[JsonObject]]:
        call_id, name = call_names(given)
        given_input: JsonValue = given.get("input")
        block = Block("tool", self._calls, renaming=self._mapping.stream(name))
        name = self._mapping.name(name)
        if isinstance(given_input, dict):
            block.input = given_input
        self._calls += 1
        if self._legacy:
            if block.place:
                return block, []  # the old form has room for one call
            return block, [self._chunk({"function_call": {"name": name, "arguments": ""}})]
        extra = extra_content(self._kept or [])
        self._kept = None
        if block.renaming is None:
            arguments = tool_call_arguments(block.place, "")
            block.chunk = TextFrame.of(self._chunk({"tool_calls": [arguments]}))
        call = tool_call_start(block.place, call_id, name, extra_content=extra)
        return block, [self._chunk({"tool_calls": [call]})]

    def _start_thinking(self, given: JsonObject) -> tuple[Block, list[JsonObject]]:
        block = Block("thinking", self._thinking)
        self._thinking += 1
        places = {"text_before": self._text_chars, "calls_before": self._calls}
        piece = {"index": block.place, "type": given["type"], **places}
        for name in ("thinking", "data", "signature"):
            if isinstance(given.get(name), str):
                piece[name] = given[name]
        self._keep(block, piece)
        delta: JsonObject = {"thinking_blocks": [piece]}
        if piece.get("thinking"):
            delta["reasoning_content"] = piece["thinking"]
        return block, [self._chunk(delta)]

    def _continue_block(self, data: JsonObject) -> list[JsonObject]:
        block = self._blocks.get(block_index(data))
        delta: JsonValue = data.get("delta")
        if not isinstance(delta, dict):
            raise ValueError("content_block_delta has no delta")
        if block is None:
            raise ValueError("a delta belongs to no content block")
        match block.kind, delta.get("type"):
            case "text", "text_delta":
                return self._text(delta.get("text"))
            case "text", "citations_delta":
                if len(block.citations) < MAX_CITATIONS:
                    block.citations.append(delta.get("citation"))
            case "tool", "input_json_delta":
                return self._arguments(block, delta.get("partial_json"))
            case "thinking", "thinking_delta":
                return self._think(block, "thinking", delta.get("thinking"))
            case "thinking", "signature_delta":
                return self._think(block, "signature", delta.get("signature"))
            case _:
                pass
        return []

    def _stop_block(self, data: JsonObject) -> list[JsonObject]:
        block = self._blocks.pop(block_index(data), None)
        if block is None:
            raise ValueError("a content block ends that never began")
        return self._end(block)

    def _end(self, block: Block) -> list[JsonObject]:
        if block.kind == "tool" and not block.has_arguments:
            # The arguments have to be JSON in the end, "{}" at least.
            chunks = self._arguments(block, json.dumps(block.input, ensure_ascii=False))
            return chunks + self._end_arguments(block)
        if block.renaming is not None:
            return self._end_arguments(block)
        if block.kind == "thinking" and self._kept is not None:
            carried = carry(block.thinking, **places_of(block.thinking))
            if carried is not None:
                self._kept.append(carried)
        if block.citations:
            return self._annotate(block)
        return []

    def _take_outcome(self, data: JsonObject) -> list[JsonObject]:
        delta: JsonValue = data.get("delta")
        if isinstance(delta, dict):
            self._stop_reason = delta.get("stop_reason") or self._stop_reason
            self._stop_details = delta.get("stop_details") or self._stop_details
        self._count(data.get("usage"))
        return []

    def _stop(self) -> list[JsonObject]:
        if not self._is_begun:
            raise ValueError("the stream ends before it begins")
        chunks = [piece for block in self._blocks.values() for piece in self._end(block)]
        self.is_complete = True
        reason: FinishReason = finish_reason(self._stop_reason, has_calls=self._calls > 0)
        if self._legacy and reason == "tool_calls":
            reason = "function_call"
        delta: JsonObject = {}
        if reason == "content_filter":
            delta["refusal"] = refusal_text(self._stop_details)
        chunks.append(chunk(self._head, delta, reason))
        usage = self.usage
        if self._include_usage and usage is not None:
            chunks.append(usage_chunk(self._head, usage))
        return chunks

    def _chunk(self, delta: JsonObject) -> JsonObject:
        return chunk(self._head, delta)

    def _text(self, text: object) -> list[JsonObject]:
        if not isinstance(text, str):
            raise ValueError("a text block has no text")
        if not text:
            return []
        self._text_chars += len(text)
        return [self._chunk({"content": text})]

    def _arguments(self, block: Block, piece: object) -> list[JsonObject]:
        if not isinstance(piece, str):
            raise ValueError("a piece of a tool's input is no text")
        if not piece:
            return []
        block.has_arguments = True
        if block.renaming is not None:
            piece = block.renaming.feed(piece)
        return self._argument_chunks(block, piece)

    def _end_arguments(self, block: Block) -> list[JsonObject]:
        """The rest of a tool's input, held back until its end was known."""
        return [] if block.renaming is None else self._argument_chunks(block, block.renaming.end())

    def _argument_chunks(self, block: Block, piece: str) -> list[JsonObject]:
        if not piece:
            return []
        if not self._legacy:
            return [self._chunk({"tool_calls": [tool_call_arguments(block.place, piece)]})]
        return [] if block.place else [self._chunk({"function_call": {"arguments": piece}})]

    def _think(self, block: Block, name: str, piece: object) -> list[JsonObject]:
        if not isinstance(piece, str):
            raise ValueError("a piece of thinking is no text")
        if not piece:
            return []
        self._keep(block, {name: piece})
        delta: JsonObject = {"thinking_blocks": [{"index": block.place, name: piece}]}
        if name == "thinking":
            delta["reasoning_content"] = piece
        return [self._chunk(delta)]

    def _keep(self, block: Block, piece: Mapping[str, object]) -> None:
        """Keep thinking until the first tool call, unless it grows too long."""
        if self._kept is None:
            return
        for name, value in piece.items():
            if isinstance(value, str) and name != "type":
                self._kept_chars += len(value)
                block.thinking[name] = block.thinking.get(name, "") + value
            else:
                block.thinking[name] = value
        if self._kept_chars > MAX_KEPT_CHARS:
            self._kept = None
            block.thinking = {}

    def _annotate(self, block: Block) -> list[JsonObject]:
        """Citations of a text block; `index` lets clients join annotations as they join calls."""
        annotations: list[JsonObject] = []
        for citation in block.citations:
            annotation = annotation_of(citation, block.place, self._text_chars)
            if annotation is not None:
                annotations.append({"index": self._annotations, **annotation})
                self._annotations += 1
        return [self._chunk({"annotations": annotations})] if annotations else []

    def _count(self, usage: JsonValue) -> None:
        """Update the cumulative counts: they only grow, and a missing one keeps its value."""
        if not isinstance(usage, dict):
            return
        for name in _COUNTS:
            count = read_count(usage.get(name))
            if count is not None:
                self._counts[name] = max(count, self._counts.get(name, 0))
        for name in ("output_tokens_details", "cache_creation"):
            if isinstance(usage.get(name), dict):
                self._counts[name] = usage[name]


def stream_failure(data: JsonObject) -> StreamFailedError:
    """Read an error event; an error in a 2xx answer has the same shape."""
    message, kind, _ = error_words(data.get("error"))
    kind = kind or "api_error"
    return StreamFailedError(
        message or "Anthropic ended the stream with an error and did not say why",
        kind,
        ERROR_STATUSES.get(kind, 500),
    )
