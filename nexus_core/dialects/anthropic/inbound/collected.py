"""A stream of Anthropic's events as the whole message that it tells, piece by piece. Pure.

As Anthropic's own clients add it up: anthropic/lib/streaming/_beta_messages.py of its SDK.
"""

from __future__ import annotations

from nexus_core.dialects.anthropic.inbound.events import dumped
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.sse import SseParser
from nexus_core.types import JsonObject, is_object

# Why an answer may end amid a call: another try would be as long, and be paid again.
_CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})


class MessageCollector:
    """Adds up one streamed message."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self._message: JsonObject | None = None
        self._pieces: dict[int, list[str]] = {}  # of the input of each call
        self._has_broken = False  # a call whose input is no JSON, and stays empty

    def feed(self, data: bytes) -> None:
        """Take bytes of the stream.

        Raises:
            ValueError: they are no events of a message.
        """
        for event in self._parser.feed(data):
            self._take(parse_json(event.data))

    def whole(self) -> bytes:
        """The message, once the stream has ended.

        Raises:
            ValueError: it had no message, or one with a broken call that no limit cut off.
        """
        for event in self._parser.finish():
            self._take(parse_json(event.data))
        if self._message is None:
            raise ValueError("answered with a stream that has no message")
        if self._has_broken and self._message.get("stop_reason") not in _CUT_OFF:
            raise ValueError("answered with a call whose input is no JSON")
        return dumped(self._message).encode()

    def _take(self, event: object) -> None:
        if not is_object(event):
            return
        kind, message = event.get("type"), self._message
        if kind == "message_start" and message is None and is_object(event.get("message")):
            begun: JsonObject = event["message"]
            self._message = {**begun, "content": []}
        elif message is None:
            return
        elif kind == "content_block_start" and is_object(event.get("content_block")):
            message["content"].append(event["content_block"])
        elif kind == "content_block_delta" and is_object(event.get("delta")):
            self._add(event.get("index"), event["delta"])
        elif kind == "content_block_stop":
            self._end_block(event.get("index"))
        elif kind == "message_delta":
            _finish(message, event)

    def _block(self, index: object) -> JsonObject:
        content = (self._message or {}).get("content", [])
        if not isinstance(index, int) or not 0 <= index < len(content):
            raise ValueError("answered with a stream whose blocks have no order")
        block: JsonObject = content[index]
        return block

    def _add(self, index: object, delta: JsonObject) -> None:
        block = self._block(index)
        for name, value in delta.items():
            if name == "type":
                continue
            if name == "partial_json" and isinstance(index, int):
                self._pieces.setdefault(index, []).append(str(value))
            elif name == "citation":
                block["citations"] = [*(block.get("citations") or ()), value]
            elif isinstance(value, str) and isinstance(block.get(name), str):
                block[name] += value
            else:
                block[name] = value

    def _end_block(self, index: object) -> None:
        block = self._block(index)
        pieces = self._pieces.pop(index, None) if isinstance(index, int) else None
        if pieces is None or not (text := "".join(pieces)):
            return
        try:
            given = parse_json(text)
        except ValueError:
            self._has_broken = True
            return
        if is_object(given):
            block["input"] = given


def _finish(message: JsonObject, event: JsonObject) -> None:
    """Take what is known at the end: why it ended, its usage, and what else stands there."""
    delta, usage = event.get("delta"), event.get("usage")
    if is_object(delta):
        message.update(delta)
    if is_object(usage):
        before = message.get("usage")
        told = {name: value for name, value in usage.items() if value is not None}
        message["usage"] = {**before, **told} if is_object(before) else told
    for name, value in event.items():
        if name not in ("type", "delta", "usage"):
            message[name] = value
