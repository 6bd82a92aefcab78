"""Time limits of requests: one sweeper for all of them, instead of a timer for each wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar

# How often the sweeper looks: a limit ends a wait at most this much too late.
SWEEP_SECONDS = 0.05

NEVER = inf


class Deadlines:
    """The time limits of one request: of the whole of it, and of the wait it is in.

    Times are those of the loop's clock. Setting `wait_at` before a wait and NEVER after it is all
    that a wait costs; the sweeper cancels the request's task when a limit has passed. Whoever set
    the limit asks then, with the CancelledError at hand, whether it ran out. A client that leaves
    at the same moment stays a client that left.
    """

    __slots__ = (
        "_cancels",
        "_look",
        "_others",
        "_task",
        "_waits_too_long",
        "has_ended",
        "look_at",
        "request_at",
        "wait_at",
    )

    def __init__(
        self, request_at: float = NEVER, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """For the running task; the whole request has to be over by `request_at`.

        Args:
            loop: the running one. Asking for it takes a system call, in Python 3.11.
        """
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - for the type checker
        self._task = task
        self.request_at = request_at
        self.wait_at = NEVER
        self.look_at = NEVER  # for silence
        self._look: Callable[[float], float] | None = None
        self.has_ended = False  # the request: its limit has passed, or `end` was called
        self._waits_too_long = False  # and its task was cancelled for that
        self._others = task.cancelling()  # times that somebody else cancelled the task before
        self._cancels = 0  # times that it was cancelled here, and that was not taken back

    def sweep(self, now: float) -> None:
        """Cancel the task if a limit has passed."""
        if self.request_at <= now:
            self.end()
        elif self.wait_at <= now:
            self.wait_at = NEVER
            self._waits_too_long = True
            self._cancel()

    def on_silence(self, at: float, look: Callable[[float], float]) -> None:
        """Have `look` called at this time, and then at each that it gives, until the end."""
        self.look_at, self._look = at, look

    def look(self, now: float) -> None:
        """The time for it has come."""
        assert self._look is not None  # noqa: S101 - set with the time
        self.look_at = NEVER if self.has_ended else self._look(now)

    def end(self) -> bool:
        """End the whole request at once; False if it has ended already."""
        if self.has_ended:
            return False
        self.request_at = self.wait_at = NEVER
        self.has_ended = True
        self._cancel()
        return True

    def _cancel(self) -> None:
        self._cancels += 1
        self._task.cancel()

    def wait_ran_out(self) -> bool:
        """Whether the CancelledError at hand ends only the wait: then it is taken back."""
        if not self._waits_too_long:
            return False
        self._waits_too_long = False
        self._cancels -= 1
        return self._task.uncancel() <= self._others

    def request_ran_out(self) -> bool:
        """Whether the CancelledError at hand ends the request: then it is taken back."""
        self.close()
        return self.has_ended and self._task.cancelling() <= self._others

    def close(self) -> None:
        """The request is over: leave its task as it was found."""
        self.request_at = self.wait_at = self.look_at = NEVER
        self._look = None  # often a method of whoever holds this: what is over is to be freed
        while self._cancels:
            self._cancels -= 1
            self._task.uncancel()


_Watched = TypeVar("_Watched", bound=Deadlines)


class Sweeper(Generic[_Watched]):
    """Looks at the deadlines of all requests under way; does nothing while there are none."""

    def __init__(self) -> None:
        self.watched: set[_Watched] = set()  # whoever is over takes itself out
        self._loop: asyncio.AbstractEventLoop | None = None  # where the next look is planned

    def watch(self, deadlines: _Watched, loop: asyncio.AbstractEventLoop) -> None:
        """Look at these from now on, in the running loop."""
        self.watched.add(deadlines)
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)

    @property
    def is_idle(self) -> bool:
        """Whether no look is planned."""
        return self._loop is None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.watched:
            self._loop = None
            return
        now = loop.time()
        for deadlines in self.watched:
            if deadlines.wait_at <= now or deadlines.request_at <= now:
                deadlines.sweep(now)
            elif deadlines.look_at <= now:
                deadlines.look(now)
        loop.call_later(SWEEP_SECONDS, self._sweep, loop)
