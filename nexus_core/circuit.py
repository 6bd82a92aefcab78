"""When a backend that failed is left alone, and when it is tried again."""

from __future__ import annotations

from dataclasses import dataclass

FAILURES_TO_OPEN = 3  # in a row; a connection that fails opens at once
FIRST_REST_SECONDS = 5.0  # doubles with each failed trial
LONGEST_REST_SECONDS = 300.0
DEFAULT_BUSY_REST_SECONDS = 1.0  # after a 429 without Retry-After
LONGEST_BUSY_REST_SECONDS = 3600.0

_BUSY = "answered 429"


@dataclass(slots=True)
class Circuit:
    """What failed requests say of one backend. Times are those of a monotonic clock."""

    failures: int = 0  # in a row; only an answer that came whole ends the row
    is_open: bool = False  # failing: rested, then tried with one request at a time
    until: float | None = None  # no request before then
    why: str | None = None  # for people
    _rest_seconds: float = 0.0  # the last one; 0 after an answer that came whole
    _asked_until: float | None = None  # the end of a rest that the backend asked for

    def fail(self, at: float, why: str, *, is_unreachable: bool) -> None:
        """A request failed; a backend that cannot be reached rests at once, others after three."""
        self.failures += 1
        if not (is_unreachable or self.is_open or self.failures >= FAILURES_TO_OPEN):
            return
        if self.until is not None and at < self.until:
            return  # it was sent before the rest began and says nothing new
        rest = self._rest_seconds * 2 or FIRST_REST_SECONDS
        self._rest_seconds = min(rest, LONGEST_REST_SECONDS)
        self.is_open = True
        self.until, self.why = at + self._rest_seconds, why

    def begin(self) -> None:
        """An answer begins: requests may come again, and the next failure tells more than this."""
        if self.is_open:
            self.is_open = False
            self.until = self._asked_until
            self.why = None if self.until is None else _BUSY

    def succeed(self) -> None:
        """An answer came whole: all is forgotten but a rest that the backend asked for."""
        self.begin()
        self.failures = 0
        self._rest_seconds = 0.0

    def rest(self, at: float, seconds: float | None) -> None:
        """The backend said it has too much to do, and perhaps for how long."""
        wanted = DEFAULT_BUSY_REST_SECONDS if seconds is None else seconds
        until = at + min(max(wanted, 0.0), LONGEST_BUSY_REST_SECONDS)
        if self._asked_until is None or until > self._asked_until:
            self._asked_until = until
        if self.until is None or until > self.until:
            self.until, self.why = until, _BUSY
