"""Log ring: the newest log lines, numbered, for the dashboard and the API."""

from __future__ import annotations

import re
import secrets
from bisect import bisect_right
from collections import deque
from itertools import count
from operator import attrgetter
from typing import Protocol

import msgspec

CAPACITY = 2000  # lines kept
MAX_TEXT = 8000  # characters kept of one line; of a trace, its beginning and its end
_CUT = " … "
_number = attrgetter("number")
_REQUEST = re.compile(r"(?:^| )request=([0-9a-f]{8,64})(?= |$)")
_ALARMING = frozenset({"warning", "error", "critical"})


class LogLine(msgspec.Struct, frozen=True):
    """One record as a panel shows it."""

    at: float  # seconds since the epoch
    level: str  # debug, info, warning, error, critical
    logger: str
    text: str  # one line without control characters
    request_id: str | None = None  # the request that it is about
    replica: str | None = None  # of a fleet: whose line it is, where several are shown together


class LateLine(Protocol):
    """A line whose text is made when it is read; never a warning."""

    def shown(self) -> LogLine:
        """The line; made once."""
        ...


class _Numbered(msgspec.Struct, gc=False):
    """A line in its place. Thousands are kept, and garbage collection need not look at them."""

    number: int
    line: LogLine | LateLine


class LogRing:
    """Bounded; reading it takes nothing out. The numbers of one process go on without a gap.

    Any thread may add, and so may a finalizer, which runs in the middle of whatever is being done
    here: there is no lock that it could wait for, and each step is one of the interpreter's own.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.run = secrets.token_hex(4)  # another process has another word
        self.last = 0  # the newest line's number; the first one is 1
        self.last_warning: LogLine | None = None  # or worse
        self._lines: deque[_Numbered] = deque(maxlen=capacity)
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: LogLine) -> None:
        """Take in a line; the oldest one goes when there are too many."""
        self.add_late(line)
        if line.level in _ALARMING:
            self.last_warning = line

    def add_late(self, line: LogLine | LateLine) -> None:
        """Take in a line that is no warning, and need not be written out yet."""
        number = next(self._numbers)
        self._lines.append(_Numbered(number, line))
        if number > self.last:
            self.last = number

    def after(self, number: int) -> list[tuple[int, LogLine]]:
        """What came after that number and is still here, oldest first."""
        lines = list(self._lines)
        lines.sort(key=_number)  # two that came at once may stand the other way around
        return [
            (one.number, one.line if isinstance(one.line, LogLine) else one.line.shown())
            for one in lines[bisect_right(lines, number, key=_number) :]
        ]


def request_in(text: str) -> str | None:
    """The id of the request that a line names as `request=ID`; None where it names none."""
    found = _REQUEST.search(text)
    return None if found is None else found[1]


def shortened(text: str) -> str:
    """The text, without its middle where it is too long to keep."""
    if len(text) <= MAX_TEXT:
        return text
    half = (MAX_TEXT - len(_CUT)) // 2
    return f"{text[:half]}{_CUT}{text[-half:]}"
