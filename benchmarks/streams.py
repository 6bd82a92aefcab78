"""What Nexus adds to each chunk of a stream, with 50 streams at once.

An upstream that writes the time into every chunk, a plain relay of bytes, Nexus and the clients run
in one process and one loop, so that all clocks are one. Each API of clients goes to a
backend that speaks it and to one that does not. Each way in turn, round after round;
"added" is against asking the upstream directly, and the ratio to what the plain relay adds.
Run: python benchmarks/streams.py [seconds per round]
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nexus_core.api.listen.server import bind, serve
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, HealthCheckConfig, StorageConfig
from nexus_core.gateway import Gateway
from nexus_core.types import PrivacyZone
from nexus_tui.process.loop import resume_gc

# Clients' APIs and types of backend: those where bytes pass, and those where they can't.
PASSED = (
    *(("chat", "vllm"), ("messages", "anthropic"), ("responses", "openai"), ("gemini", "google")),
)
TRANSLATED = (
    *(("chat", "anthropic"), ("chat", "google"), ("messages", "vllm"), ("responses", "vllm")),
    *(("ollama", "vllm"), ("gemini", "vllm"), ("messages", "google"), ("responses", "anthropic")),
)
STREAMS = 50
CHUNKS_PER_SECOND = 50  # of each stream, as a quick model has it
ROUNDS = 3

_TIME = re.compile(rb"t=([0-9.]+)!")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

Event = Callable[[str], bytes]
MESSAGES = [{"role": "user", "content": "hi"}]
# Of each API that clients speak: its path and the body of a stream, of a model.
REQUESTS: dict[str, Callable[[str], tuple[str, dict[str, object]]]] = {
    "chat": lambda model: (
        "/v1/chat/completions",
        {"model": model, "stream": True, "messages": MESSAGES},
    ),
    "messages": lambda model: (
        "/v1/messages",
        {"model": model, "stream": True, "max_tokens": 100, "messages": MESSAGES},
    ),
    "responses": lambda model: (
        "/v1/responses",
        {"model": model, "stream": True, "input": "hi"},
    ),
    "ollama": lambda model: ("/api/chat", {"model": model, "messages": MESSAGES}),
    "gemini": lambda model: (
        f"/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}


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


# By the beginning of the path: what opens a stream, one chunk of it, what ends it.
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


class Upstream:
    """Streams for so many seconds, in the format of the path that it is asked at."""

    def __init__(self, seconds: float) -> None:
        self._chunks = int(seconds * CHUNKS_PER_SECOND)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1]
        length = re.search(rb"content-length: *(\d+)", head.lower())
        await reader.readexactly(int(length[1]) if length else 0)
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        else:
            await self._stream(path, writer)
        await writer.drain()
        writer.close()

    async def _stream(self, path: bytes, writer: asyncio.StreamWriter) -> None:
        begin, event, end = next(f for start, f in FORMATS.items() if path.startswith(start))
        writer.write(_HEAD + (framed(begin) if begin else b""))
        due = time.perf_counter()
        for _ in range(self._chunks):
            due += 1 / CHUNKS_PER_SECOND
            await asyncio.sleep(due - time.perf_counter())
            writer.write(framed(event(f"t={time.perf_counter():.7f}! some words ")))
        writer.write(framed(end) + b"0\r\n\r\n")


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def ask(port: int, api: str, model: str, milliseconds: list[float]) -> None:
    """One stream; the age of every chunk as it arrives."""
    target, fields = REQUESTS[api](model)
    body = json.dumps(fields).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    held = await reader.readuntil(b"\r\n\r\n")
    if not held.startswith(b"HTTP/1.1 200"):
        raise SystemExit((held + await reader.read()).decode())
    held, newest = b"", 0.0
    while data := await reader.read(65536):
        now, held = time.perf_counter(), held + data
        end = 0
        for found in _TIME.finditer(held):
            if (written := float(found[1])) > newest:  # the end of a response repeats its text
                newest = written
                milliseconds.append((now - written) * 1000)
            end = found.end()
        held = held[end:]
    writer.close()


async def relay(
    upstream_port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """The least that stands in between: bytes from one socket to another."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    body = await reader.readexactly(int(length[1]) if length else 0)
    there, to_there = await asyncio.open_connection("127.0.0.1", upstream_port)
    to_there.write(head + body)
    while data := await there.read(65536):
        writer.write(data)
        await writer.drain()
    to_there.close()
    writer.close()


@asynccontextmanager
async def nexus(upstream_port: int) -> AsyncIterator[int]:
    """A Nexus in this loop, one backend of each kind; gives its port."""
    kinds = (BackendType.VLLM, BackendType.OPENAI, BackendType.ANTHROPIC, BackendType.GOOGLE)
    gateway = Gateway(
        Config(
            health_check=HealthCheckConfig(enabled=False),
            storage=StorageConfig(path=":memory:"),
            backends=tuple(
                BackendConfig(
                    name=kind.value,
                    url=f"http://127.0.0.1:{upstream_port}",
                    type=kind,
                    zone=PrivacyZone.OPEN,
                    models={kind.value: "m"},
                    api_key="sk-none",
                )
                for kind in kinds
            ),
        )
    )
    listener = bind("127.0.0.1", 0)
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(gateway, listener, stop=stop, ready=ready))
        await ready.wait()
        yield listener.getsockname()[1]
        stop.set()


async def measure(port: int, api: str, model: str) -> list[float]:
    milliseconds: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(STREAMS):
            tasks.create_task(ask(port, api, model, milliseconds))
            await asyncio.sleep(1 / CHUNKS_PER_SECOND / STREAMS)  # else all tick at once
    return milliseconds


async def run(seconds: float) -> None:
    upstream = await asyncio.start_server(Upstream(seconds).serve, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    plain = await asyncio.start_server(lambda r, w: relay(port, r, w), "127.0.0.1", 0)
    async with upstream, plain, nexus(port) as nexus_port:
        relay_port = plain.sockets[0].getsockname()[1]
        ways = {"direct": (port, "chat", "m"), "plain relay": (relay_port, "chat", "m")}
        for api, model in PASSED + TRANSLATED:
            is_translated = (api, model) in TRANSLATED
            name = f"{api} to {model}" if is_translated else f"{api}, passed on"
            ways[name] = (nexus_port, api, model)
        ages: dict[str, list[float]] = {name: [] for name in ways}
        async with asyncio.TaskGroup() as tasks:  # what is loaded with a first request is there
            for at, api, model in ways.values():
                tasks.create_task(ask(at, api, model, []))
        resume_gc()  # as the command does
        for _ in range(ROUNDS):
            for name, (at, api, model) in ways.items():
                ages[name] += await measure(at, api, model)
    report(ages)


def report(ages: dict[str, list[float]]) -> None:
    quantiles = {name: statistics.quantiles(values, n=100) for name, values in ages.items()}
    direct, plain = quantiles["direct"], quantiles["plain relay"]
    for name, cuts in quantiles.items():
        added = [cuts[at] - direct[at] for at in (49, 98)]
        line = f"{name:22} {len(ages[name]):6} chunks"
        line += f"   p50 {cuts[49]:6.3f} ms   p99 {cuts[98]:6.3f} ms"
        if name != "direct":
            line += f"   added p50 {added[0]:6.3f} ms   p99 {added[1]:6.3f} ms"
        if name not in ("direct", "plain relay"):
            ratio = added[0] / (plain[49] - direct[49])
            line += f"   {ratio:4.1f} x the plain relay's"
        print(line)


if __name__ == "__main__":
    asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
