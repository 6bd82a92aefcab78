"""The newest log lines of this process, numbered: for the screen, and for readers over HTTP."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from itertools import islice
from threading import Lock

CAPACITY = 2000  # lines kept
MAX_TEXT = 8000  # characters kept of one line; of a trace, its beginning and its end
_CUT = " … "
_ALARMING = frozenset({"warning", "error", "critical"})


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record as a panel shows it."""

    at: float  # seconds since the epoch
    level: str  # debug, info, warning, error, critical
    logger: str
    text: str  # one line without control characters


class LogRing:
    """Bounded, and safe to add to from any thread; reading it takes nothing out.

    The numbers of one run go on without a gap; another process has another `run` word.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.run = secrets.token_hex(4)
        self.last = 0  # the newest line's number; the first one is 1
        self.last_warning: LogLine | None = None  # or worse
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: LogLine) -> None:
        """Take in a line; the oldest one goes when there are too many."""
        with self._lock:
            self._lines.append(line)
            self.last += 1
            if line.level in _ALARMING:
                self.last_warning = line

    def after(self, number: int) -> list[tuple[int, LogLine]]:
        """What came after that number and is still here, oldest first."""
        with self._lock:
            first = self.last - len(self._lines) + 1
            start = max(number + 1, first)
            return list(enumerate(islice(self._lines, start - first, None), start))


def shortened(text: str) -> str:
    """The text, without its middle where it is too long to keep."""
    if len(text) <= MAX_TEXT:
        return text
    half = (MAX_TEXT - len(_CUT)) // 2
    return f"{text[:half]}{_CUT}{text[-half:]}"
