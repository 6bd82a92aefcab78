"""The backend that gateways are compared with: it answers at once, and every answer is at hand.

A stream's reads are written one in a turn of the loop, or, for a prompt that begins with PACE, a
millisecond apart, so that no gateway gets two of them at once.
Run: python benchmarks/side_by_side/upstream.py; prints its port.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from benchmarks.loads import answer_to

PACE = "PACE"
PACE_SECONDS = 0.001

_PACE = f'"{PACE}'.encode()


class Backend(asyncio.Protocol):
    """A gateway's connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._held = bytearray()
        self._needed = 0  # bytes of the request that is coming; 0: not known yet

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        held = self._held
        held += data
        if not self._needed:
            end = held.find(b"\r\n\r\n")
            if end < 0:
                return
            length = held[:end].lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._needed = end + 4 + int(length or b"0")
        if len(held) < self._needed:
            return
        asked = bytes(held)
        held.clear()
        self._needed = 0
        self._answer(answer_to(asked), 0, PACE_SECONDS if _PACE in asked else 0.0)

    def _answer(self, reads: tuple[bytes, ...], at: int, pause: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(reads[at])
        if at + 1 == len(reads):
            return
        if pause:
            self._loop.call_later(pause, self._answer, reads, at + 1, pause)
        else:
            self._loop.call_soon(self._answer, reads, at + 1, pause)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Backend, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
