"""The terminal of the process: whether it can take the dashboard, and whether it is still there."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping

_HUNG_UP = select.POLLHUP | select.POLLERR
# A closing terminal sends SIGHUP shortly before or after it is gone: some send the signal first,
# and a shell passes it on to its jobs when it gets round to that.
_TOGETHER_SECONDS = 3.0


def why_headless(environ: Mapping[str, str]) -> str | None:
    """Why there can be no dashboard: `no terminal`, `TERM=dumb`, `in the background`; else None.

    It reads stdin and draws on stderr. A job in the background would be stopped by its terminal.
    """
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return "no terminal"
    if environ.get("TERM") == "dumb":
        return "TERM=dumb"
    return None if _is_in_front(sys.stderr.fileno()) else "in the background"


def _is_in_front(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # not the controlling terminal: no jobs there
        return True


def is_connected() -> bool:
    """Whether the process has a controlling terminal with somebody at its other end."""
    try:
        # Fails with ENXIO where there is none, and on Linux after a hang-up.
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.tcgetpgrp(fd)
        poll = select.poll()
        poll.register(fd, 0)
        # macOS can't poll /dev/tty, and says POLLNVAL of it.
        return not any(event & _HUNG_UP for _, event in poll.poll(0))
    except OSError:
        return False
    finally:
        os.close(fd)


class ControllingTerminal:
    """The terminal that the process was started from, and when it was closed.

    Nobody tells a process of that but SIGHUP, which also comes by `kill -HUP`: so `look` is to be
    called now and then, and whenever the signal comes.
    """

    def __init__(
        self,
        is_there: Callable[[], bool] = is_connected,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_there = is_there
        self._now = now  # seconds
        self.is_open = is_there()  # as the last look found it; False if there never was one
        self._closed_at: float | None = None
        self._signalled_at: float | None = None

    def signalled(self) -> None:
        """SIGHUP came."""
        self._signalled_at = self._now()
        self.look()

    def look(self) -> None:
        """Notice whether it has been closed."""
        if self.is_open and not self._is_there():
            self.is_open = False
            self._closed_at = self._now()

    @property
    def was_closed(self) -> bool:
        """Whether there was one, and it is gone."""
        return self._closed_at is not None

    @property
    def hung_up(self) -> bool:
        """Whether SIGHUP came because it was closed.

        A signal that comes later is somebody's, to a process that lives on without it.
        """
        if self._closed_at is None or self._signalled_at is None:
            return False
        return abs(self._closed_at - self._signalled_at) <= _TOGETHER_SECONDS
