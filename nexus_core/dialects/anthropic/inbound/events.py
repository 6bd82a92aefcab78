"""Events of Anthropic's streams, encoded, and a whole message as the events of its stream.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import json

import msgspec

from nexus_core.types import JsonObject, is_list, is_object

_encode = msgspec.json.Encoder().encode

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def encoded(value: object) -> bytes:
    """JSON of any value that was read from JSON, lone surrogates included."""
    try:
        return _encode(value)
    except (UnicodeError, RecursionError):
        return json.dumps(value, separators=(",", ":")).encode()


def dumped(value: object) -> str:
    """The same as text."""
    return encoded(value).decode()


def event(kind: str, **fields: object) -> bytes:
    """Encode one event; clients skip an event that has no name."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encoded({"type": kind, **fields}))


def block_start(index: int, block: JsonObject) -> bytes:
    """The beginning of a content block, without its content."""
    return event("content_block_start", index=index, content_block=block)


def block_delta(index: int, kind: str, **fields: object) -> bytes:
    """A piece of a content block."""
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def block_stop(index: int) -> bytes:
    """The end of a content block."""
    return event("content_block_stop", index=index)


def as_events(message: JsonObject) -> bytes:
    """A whole message as the stream that the client asked for."""
    usage = message.get("usage")
    begun: JsonObject = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    if is_object(usage):
        begun["usage"] = {**usage, "output_tokens": 0}
    events = [event("message_start", message=begun)]
    content = message.get("content")
    for index, block in enumerate(content if is_list(content) else ()):
        if is_object(block):
            events += _block(index, block)
    delta = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    events.append(event("message_delta", delta=delta, usage=usage if is_object(usage) else {}))
    return b"".join((*events, MESSAGE_STOP))


def _block(index: int, block: JsonObject) -> list[bytes]:
    start: JsonObject
    match block:
        case {"type": "text", "text": str(text)}:
            deltas = [block_delta(index, "text_delta", text=text)]
            start = {**block, "text": ""}
        case {"type": "thinking", "thinking": str(text)}:
            deltas = [block_delta(index, "thinking_delta", thinking=text)]
            if signature := block.get("signature"):
                deltas.append(block_delta(index, "signature_delta", signature=signature))
            start = {**block, "thinking": "", "signature": ""}
        case {"type": "tool_use" | "server_tool_use"} if is_object(block.get("input")):
            text = dumped(block["input"])
            deltas = [block_delta(index, "input_json_delta", partial_json=text)]
            start = {**block, "input": {}}
        case _:
            deltas, start = [], block
    return [block_start(index, start), *deltas, block_stop(index)]
