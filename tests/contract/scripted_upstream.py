"""An upstream that records requests byte for byte and answers as the test's script says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from tests.waiting import take_time

Headers: TypeAlias = Sequence[tuple[str, str]]

_WAIT_SECONDS = 10


@dataclass(slots=True)
class Exchange:
    """One request as it came, and the way back."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]  # names in lower case, in order
    body: bytes
    writer: asyncio.StreamWriter = field(repr=False)
    closed: asyncio.Event = field(default_factory=asyncio.Event)  # the other side hung up

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name.lower())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_head(self, status: int, headers: Headers) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers)]
        await self.send("\r\n".join([*lines, "Connection: close", "", ""]).encode())

    async def send_chunk(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")


Script: TypeAlias = Callable[[Exchange], Awaitable[None]]


def answers(body: bytes | object, status: int = 200, headers: Headers = ()) -> Script:
    """A whole answer: these bytes, or this value as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def script(exchange: Exchange) -> None:
        head = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        await exchange.send_head(status, [*head, *headers])
        await exchange.send(content)

    return script


def streams(
    parts: Iterable[bytes | asyncio.Event | float], *, is_whole: bool = True, headers: Headers = ()
) -> Script:
    """A chunked stream of these parts.

    An event among them is waited for; a number is the seconds that pass before the next part.
    With `is_whole` false the connection breaks after the last part.
    """

    async def script(exchange: Exchange) -> None:
        head = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
        await exchange.send_head(200, [*head, *headers])
        for part in parts:
            if isinstance(part, bytes):
                await exchange.send_chunk(part)
            elif isinstance(part, asyncio.Event):
                await part.wait()
            else:
                await take_time(part)
        if is_whole:
            await exchange.send(b"0\r\n\r\n")

    return script


async def hang(exchange: Exchange) -> None:
    """Say nothing until the other side leaves."""
    await exchange.closed.wait()


def silent_for(seconds: float) -> Script:
    """Say nothing for so long, which pass at once, and then until the other side leaves."""

    async def script(exchange: Exchange) -> None:
        await take_time(seconds)
        await exchange.closed.wait()

    return script


NO_MODELS = answers({"object": "list", "data": []})
NO_PATH = answers({"detail": "Not Found"}, 404)
_NO_PROMPT = {b"", b'{"max_tokens":0}', b'{"max_output_tokens":0}'}
_API_PROBES = {"/v1/messages", "/v1/responses", "/api/version", "/api/tags"}


class ScriptedUpstream:
    """Serves while the context lasts; set `script` before a request comes.

    Questions for the models are health checks: they have a script and a list of their own. So have
    those for the APIs that the server speaks: it has none but chat's.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port  # 0: any that is free
        self.script: Script = hang
        self.listing: Script = NO_MODELS
        self.lists = {"/v1/models", "/v1beta/models"}  # where it is asked for them
        self.apis: Script = NO_PATH
        self.received: list[Exchange] = []
        self.probes: list[Exchange] = []
        self.api_probes: list[Exchange] = []
        self.url = ""
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()

    @property
    def last(self) -> Exchange:
        return self.received[-1]

    async def wait_for_requests(self, count: int) -> None:
        """Return once so many requests have been received."""
        await self._wait_until(lambda: len(self.received) >= count)

    async def wait_for_probes(self, count: int) -> None:
        """Return once so many health checks have been received."""
        await self._wait_until(lambda: len(self.probes) >= count)

    def reset(self) -> None:
        """As if nothing had been asked; what is under way goes on."""
        self.script, self.listing, self.apis = hang, NO_MODELS, NO_PATH
        self.received.clear()
        self.probes.clear()
        self.api_probes.clear()

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WAIT_SECONDS), self._arrived:
            await self._arrived.wait_for(condition)

    async def __aenter__(self) -> ScriptedUpstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for exchange in [*self.received, *self.probes, *self.api_probes]:
            exchange.writer.transport.abort()
            exchange.closed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request per connection: whatever comes after it can only be the end."""
        try:
            exchange = await _read_request(reader, writer)
            path = exchange.target.partition("?")[0]
            kept, script = self.received, self.script
            if exchange.method == "GET" and path in self.lists:
                kept, script = self.probes, self.listing
            elif exchange.body in _NO_PROMPT and path in _API_PROBES:
                kept, script = self.api_probes, self.apis
            async with self._arrived:
                kept.append(exchange)
                self._arrived.notify_all()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(_watch_for_the_end(reader, exchange.closed))
                answering = tasks.create_task(_answer(script, exchange))
                await asyncio.wait([watching, answering], return_when=asyncio.FIRST_COMPLETED)
                watching.cancel()
                answering.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _answer(script: Script, exchange: Exchange) -> None:
    with suppress(ConnectionError):
        await script(exchange)


async def _watch_for_the_end(reader: asyncio.StreamReader, closed: asyncio.Event) -> None:
    with suppress(ConnectionError):
        await reader.read()
    closed.set()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = []
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    if dict(headers).get("transfer-encoding") == "chunked":
        body = await _read_chunked(reader)
    else:
        body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
    return Exchange(method, target, tuple(headers), body, writer)


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body
