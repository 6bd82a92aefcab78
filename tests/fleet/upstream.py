"""A server that answers every chat request at once, and notes when each came and what it said."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

ANSWER = {
    "id": "a",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Arrived(NamedTuple):
    """A request as it arrived."""

    at: float  # monotonic seconds
    text: str  # the last message's


class Upstream:
    """What it was asked, and what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.arrived: list[Arrived] = []
        self.in_flight = self.most_in_flight = 0
        self.status = 200
        self.headers: dict[str, str] = {}
        self.seconds = 0.0  # that an answer takes
        self.released = asyncio.Event()  # answers wait for it
        self.released.set()
        self._open: set[asyncio.StreamWriter] = set()

    def since(self, at: float) -> list[Arrived]:
        return [one for one in self.arrived if one.at >= at]

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                size = next(
                    int(line.partition(":")[2])
                    for line in [*head.lower().split("\r\n"), "content-length:0"]
                    if line.startswith("content-length:")
                )
                is_asked = "/chat/completions " in head.partition("\r\n")[0]
                await self._answer(await reader.readexactly(size), writer, is_asked=is_asked)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter, *, is_asked: bool) -> None:
        text = ""
        with suppress(ValueError, LookupError, TypeError):
            text = json.loads(body)["messages"][-1]["content"]
        if is_asked:
            self.arrived.append(Arrived(time.monotonic(), text))
        self.in_flight += is_asked
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.released.wait()
            if self.seconds:
                done = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_later(self.seconds, done.set_result, None)
                await done
        finally:
            self.in_flight -= is_asked
        content = json.dumps(ANSWER).encode()
        lines = [f"HTTP/1.1 {self.status} Whatever", "content-type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join([*lines, f"content-length: {len(content)}", "", ""])
        writer.write(head.encode() + content)
        await writer.drain()

    def close(self) -> None:
        """End every connection."""
        for writer in tuple(self._open):
            writer.transport.abort()


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    """A server that runs in the block, in the test's own loop."""
    serving = Upstream()
    server = await asyncio.start_server(serving.serve_one, "127.0.0.1", 0)
    serving.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield serving
    finally:
        server.close()
        serving.close()
        await server.wait_closed()
