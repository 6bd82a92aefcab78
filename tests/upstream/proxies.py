"""Little proxies on loopback: HTTP with CONNECT and absolute targets, and SOCKS5.

Whatever host they are asked for, they connect to one place, so that a test can use names.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class _Proxy:
    """A server that takes connections and leads them to `target`."""

    scheme = ""

    def __init__(self, target: str, *, credentials: tuple[str, str] | None = None) -> None:
        """`target` is the URL of the one place where everything ends up."""
        self._to = ("", 0)
        self.leads_to(target)
        self.credentials = credentials
        self.connections = 0
        self.port = 0
        self.tls: ssl.SSLContext | None = None  # set before it starts: it is reached by TLS
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    def leads_to(self, target: str) -> None:
        parts = urlsplit(target)
        self._to = (parts.hostname or "", parts.port or 0)

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else self.scheme
        return f"{scheme}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            await self.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def join(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b""
    ) -> None:
        """Copy both ways until both are done."""
        there, back = await asyncio.open_connection(*self._to)
        self._writers.append(back)
        back.write(first)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(reader, back))
            tasks.create_task(_copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the proxy itself saw it."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)  # names in lower case


class HttpProxy(_Proxy):
    """`refusal` is what it answers instead of a way to the target."""

    scheme = "http"

    def __init__(
        self,
        target: str,
        *,
        credentials: tuple[str, str] | None = None,
        refusal: int | None = None,
        refusal_headers: str = "",
    ) -> None:
        super().__init__(target, credentials=credentials)
        self.refusal = refusal
        self.refusal_headers = refusal_headers
        self.asked: list[Asked] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._serve_one(reader, writer):
            pass

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True if another request may come on this connection."""
        first, headers = await _read_head(reader)
        method, target, _ = first.split(" ")
        self.asked.append(Asked(method, target, headers))
        status = self.refusal
        if status is None and self.credentials is not None:
            wanted = base64.b64encode(":".join(self.credentials).encode()).decode()
            status = None if headers.get("proxy-authorization") == f"Basic {wanted}" else 407
        if status is not None:
            head = f"HTTP/1.1 {status} No\r\n{self.refusal_headers}Content-Length: 3\r\n"
            writer.write(f"{head}Connection: close\r\n\r\nno\n".encode())
            await writer.drain()
            return False
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self.join(reader, writer)
            return False
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return await self._pass_on(f"{method} {_path(target)} HTTP/1.1", headers, body, writer)

    async def _pass_on(
        self, first: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        there, back = await asyncio.open_connection(*self._to)
        self._writers.append(back)
        kept = [f"{n}: {value}" for n, value in headers.items() if not n.startswith("proxy-")]
        back.write("\r\n".join([first, *kept, "", ""]).encode("latin-1") + body)
        status, answered = await _read_head(there)
        lines = [f"{name}: {value}" for name, value in answered.items()]
        writer.write("\r\n".join([status, *lines, "", ""]).encode("latin-1"))
        writer.write(await there.readexactly(int(answered["content-length"])))
        await writer.drain()
        back.close()
        return True


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The first line, and the headers with names in lower case."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    pairs = [line.partition(":")[::2] for line in lines]
    return first, {name.lower(): value.strip() for name, value in pairs}


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


class SocksProxy(_Proxy):
    """SOCKS5 (RFC 1928, RFC 1929). `reply` is the code it answers a CONNECT with; 0 is success."""

    scheme = "socks5"

    def __init__(
        self, target: str, *, credentials: tuple[str, str] | None = None, reply: int = 0
    ) -> None:
        super().__init__(target, credentials=credentials)
        self.reply = reply
        self.asked: list[tuple[str, int]] = []  # host and port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        wanted = 0 if self.credentials is None else 2
        if wanted not in methods:
            writer.write(b"\x05\xff")
            return
        writer.write(bytes([5, wanted]))
        if self.credentials is not None and not await self._is_known(reader, writer):
            return
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            (length,) = await reader.readexactly(1)
            host = (await reader.readexactly(length)).decode()
        else:
            host = ".".join(map(str, await reader.readexactly(4)))
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append((host, port))
        writer.write(bytes([5, self.reply, 0, 1, 127, 0, 0, 1, 0, 0]))
        if not self.reply:
            await self.join(reader, writer)

    async def _is_known(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _, length = await reader.readexactly(2)
        user = (await reader.readexactly(length)).decode()
        (length,) = await reader.readexactly(1)
        is_known = (user, (await reader.readexactly(length)).decode()) == self.credentials
        writer.write(b"\x01\x00" if is_known else b"\x01\x01")
        return is_known
