"""How long a lease holds: what was granted is used only while the store has been heard of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from nexus_core.types import JsonObject

_LONGEST_SECONDS = 2.0
_OF_DEAD_AFTER = 0.4  # a holder stops long before others take over


class Term:
    """Since when the store was last heard of, and whether it can be reached.

    A lease counts from when the beat that renewed it was sent, by a clock that goes on while the
    machine sleeps: a process that was stopped wakes with none.
    """

    __slots__ = (
        *("clock", "dead_after", "fresh_until", "heard", "is_alone", "seconds", "was_heard"),
    )

    def __init__(self, dead_after: float, clock: Callable[[], float]) -> None:
        """`dead_after`: seconds after which others count a silent process as dead."""
        self.clock = clock
        self.dead_after = dead_after
        self.seconds = min(_LONGEST_SECONDS, dead_after * _OF_DEAD_AFTER)
        self.heard = float("-inf")  # when the last answered beat was sent
        self.fresh_until = float("-inf")  # to when what was granted may be used
        self.was_heard = False  # at all, since the start
        self.is_alone = False  # the store can't be reached

    @property
    def age(self) -> float:
        """Seconds since the last answered beat was sent."""
        return self.clock() - self.heard

    @property
    def is_fresh(self) -> bool:
        """Whether what was granted may be used."""
        return self.clock() <= self.fresh_until

    def renew(self, sent: float) -> None:
        """A beat that was sent then was answered."""
        self.heard, self.was_heard, self.is_alone = max(self.heard, sent), True, False
        self.fresh_until = self.heard + self.seconds

    def end(self, since: float) -> None:
        """The store can't be reached; the last answered beat was sent then."""
        self.is_alone = True
        if self.was_heard:
            self.heard = since
            self.fresh_until = since + self.seconds


def table(value: object) -> JsonObject:
    """A JSON object of an answer; Lua writes an empty one, which might be a list, as either."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def tables(value: object) -> dict[str, dict[str, Any]]:
    """An object of objects."""
    return {name: table(one) for name, one in table(value).items()}
