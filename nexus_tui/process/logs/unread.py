"""Writing to a stream whose reader may not read: never waits, keeps a little, drops the rest."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from typing import TextIO

_CAPACITY = 256 * 1024  # bytes that wait for the reader
_SURE = 4096  # bytes that a pipe takes without waiting once it takes any (PIPE_BUF on Linux)


class Outlet:
    """Writes whole texts to a stream; to a pipe, socket or terminal without ever waiting.

    A file, or a stream without a descriptor, is written as it is.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._fd = _waiting_descriptor(stream)
        self._waiting = bytearray()

    @property
    def is_behind(self) -> bool:
        """The reader has not taken everything."""
        return bool(self._waiting)

    def write(self, text: str) -> bool:
        """Write, or keep it for `drain`; False where it was dropped for want of room.

        Raises:
            OSError, ValueError: nobody will ever read it.
        """
        if self._fd is None:
            self._stream.write(text)
            self._stream.flush()
            return True
        data = text.encode(self._stream.encoding or "utf-8", "backslashreplace")
        if self._waiting and len(self._waiting) + len(data) > _CAPACITY:
            return False
        self._waiting += data
        self.drain()
        return True

    def drain(self, seconds: float = 0.0) -> None:
        """Write what waits, as far as the reader takes it within so many seconds.

        Raises:
            OSError: nobody will ever read it.
        """
        deadline = time.monotonic() + seconds
        while self._waiting and self._fd is not None:
            left = max(0.0, deadline - time.monotonic())
            if not may_write(self._fd, left):
                return
            try:
                written = os.write(self._fd, self._waiting[:_SURE])
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()
                raise
            del self._waiting[:written]


def is_read(stream: TextIO | None) -> bool:
    """Whether a line can be written to a stream without waiting for its reader."""
    fd = None if stream is None else _waiting_descriptor(stream)
    return fd is None or may_write(fd)


def may_write(fd: int, seconds: float = 0.0) -> bool:
    """Whether a few bytes can be written without waiting; an error counts as one."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def _waiting_descriptor(stream: TextIO) -> int | None:
    """The descriptor of a stream on which a write may have to wait."""
    try:
        fd = stream.fileno()
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
    except (OSError, ValueError, AttributeError):
        return None
    return None if is_file or sys.platform == "win32" else fd
