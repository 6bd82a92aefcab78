"""A backend whose streams tell the time: each event holds the moment at which it was sent.

It speaks four formats, by the path that it is asked at. One thread serves a connection, so that
events leave when they are due: a loop's timers would send those of several streams together. Each
stream's moments are its own, at random: users who know nothing of each other do not hear from their
models at the same one, however regularly they ask. With "together" the moments of all streams are
the same, as those of one server that computes them in batches.
Run: python benchmarks/side_by_side/timed_backend.py EVENTS_A_SECOND SECONDS_A_STREAM [together];
prints its port.
"""

from __future__ import annotations

import gc
import json
import random
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import BinaryIO, NamedTuple

SENT_AT = re.compile(rb"t=([0-9.]+)!")  # in an event, seconds by the system's monotonic clock

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

Event = Callable[[str], bytes]


def openai_event(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps(chunk | {"choices": [choice]}).encode() + b"\n\n"


def anthropic_event(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return named_event("content_block_delta", index=0, delta=delta)


def named_event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def google_event(text: str, **more: object) -> bytes:
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 5, "totalTokenCount": 10}
    body = {"candidates": [candidate], "usageMetadata": usage, "responseId": "r"}
    return b"data: " + json.dumps(body).encode() + b"\r\n\r\n"


def responses_event(text: str) -> bytes:
    place: dict[str, object] = {"item_id": "m", "output_index": 0, "content_index": 0}
    return named_event("response.output_text.delta", **place, delta=text, logprobs=[])


# By the beginning of the path: what opens a stream, one event of it, what ends it.
FORMATS: dict[bytes, tuple[bytes, Event, bytes]] = {
    b"/v1/chat": (
        b"",
        openai_event,
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    ),
    b"/v1/messages": (
        named_event("message_start", message={"id": "m", "usage": {"input_tokens": 1}})
        + named_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        anthropic_event,
        named_event("content_block_stop", index=0)
        + named_event("message_delta", delta={"stop_reason": "end_turn"}, usage={})
        + named_event("message_stop"),
    ),
    b"/v1/responses": (
        named_event("response.created", response={"id": "r", "output": []}),
        responses_event,
        named_event("response.completed", response={"id": "r", "status": "completed"}),
    ),
    b"/v1beta": (b"", google_event, google_event("", finishReason="STOP")),
}


class Pace(NamedTuple):
    """When the events of a stream leave."""

    per_second: float
    seconds: float
    is_together: bool  # with those of all other streams

    def moments(self) -> Iterator[float]:
        """Of one stream that begins now, by the system's monotonic clock."""
        began, every = time.monotonic(), 1 / self.per_second
        first = began + (-began % every if self.is_together else random.random() * every)
        for number in range(int(self.seconds * self.per_second)):
            yield first + number * every


def serve(wire: socket.socket, pace: Pace) -> None:
    """Answer what is asked on a connection, one stream after the other."""
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError), wire, wire.makefile("rb") as asked:
        while line := asked.readline():
            _read_rest(asked)
            if line.startswith(b"GET"):
                wire.sendall(_NOT_FOUND)
            else:
                _stream(wire, line.split(b" ", 2)[1], pace)


def _read_rest(asked: BinaryIO) -> None:
    length = 0
    while (line := asked.readline()) not in (b"\r\n", b""):
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
    asked.read(length)


def _stream(wire: socket.socket, path: bytes, pace: Pace) -> None:
    begin, event, end = next(f for start, f in FORMATS.items() if path.startswith(start))
    wire.sendall(_HEAD + (framed(begin) if begin else b""))
    for due in pace.moments():
        time.sleep(max(0.0, due - time.monotonic()))
        wire.sendall(framed(event(f"t={time.monotonic():.7f}! some words ")))
    wire.sendall(framed(end) + b"0\r\n\r\n")


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def main() -> None:
    per_second, seconds, *words = sys.argv[1:]
    pace = Pace(float(per_second), float(seconds), "together" in words)
    gc.disable()  # its pauses would be nobody's
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    while True:
        wire, _ = listener.accept()
        Thread(target=serve, args=(wire, pace), daemon=True).start()


if __name__ == "__main__":
    main()
