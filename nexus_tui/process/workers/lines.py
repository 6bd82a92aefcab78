"""The log of several workers as one: whole lines, in the order they come.

Into a file each of them writes by itself, for there a write of several lines stays in one piece.
Anywhere else it does not: one process writes for all.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import suppress
from typing import TextIO

from nexus_tui.process.logs.unread import Outlet

_READ_BYTES = 64 * 1024
_LONGEST_LINE = 1024 * 1024  # what is longer is written in parts
_RETRY_SECONDS = 0.1  # while stderr is not read


def is_file(stream: TextIO | None) -> bool:
    """Whether a stream is a file, and no pipe, socket or terminal."""
    try:
        return stream is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


class LineWriter:
    """Writes to stderr; what can't be written is lost, for nothing ever waits for its reader."""

    def __init__(self) -> None:
        self._outlet = Outlet(sys.stderr)
        self._is_retrying = False

    def write(self, lines: bytes) -> None:
        """Write whole lines."""
        with suppress(OSError, ValueError):  # nobody will ever read it
            self._outlet.write(lines.decode(errors="backslashreplace"))
        self._retry()

    def _retry(self) -> None:
        if self._outlet.is_behind and not self._is_retrying:
            self._is_retrying = True
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._drain)

    def _drain(self) -> None:
        self._is_retrying = False
        with suppress(OSError, ValueError):
            self._outlet.drain()
        self._retry()


async def forward_lines(stream: asyncio.StreamReader, out: LineWriter) -> None:
    """Write what comes, line by line, until it ends."""
    unfinished = b""
    while part := await stream.read(_READ_BYTES):
        lines, newline, rest = (unfinished + part).rpartition(b"\n")
        unfinished = rest
        if len(unfinished) > _LONGEST_LINE:
            lines, newline, unfinished = lines + newline + unfinished, b"\n", b""
        if lines:
            out.write(lines + newline)
    if unfinished:
        out.write(unfinished + b"\n")
