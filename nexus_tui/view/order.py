"""Order of a list: the ways to sort it, which one holds, and which way round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from nexus_core.observe.record import RequestRecord

T = TypeVar("T")

LARGEST_ON_TOP, SMALLEST_ON_TOP = "▼", "▲"


@dataclass(frozen=True, slots=True)
class Way(Generic[T]):
    """A way to sort rows, by one of their columns or by what no column shows.

    `value` gives None for a row of which it is not known: such rows come last, either way round.
    """

    letter: str  # chooses it in the menu; j and k move there
    value: Callable[[T], float | Decimal | str | None] | None  # None: by the place they come in
    is_text: bool = False  # A is on top at first; of numbers the largest is


class Sorting(Generic[T]):
    """How a list is sorted now. A way that is chosen again is turned around."""

    def __init__(self, ways: Mapping[str, Way[T]], usual: str) -> None:
        """
        Args:
            ways: by the id of their column, or by a word of their own.
            usual: the way that `reset` goes back to.
        """
        self.ways = ways
        self.usual = usual
        self.column = usual
        self.is_reversed = False
        self.mark = ""  # beside the title of the column: ▼ with the largest on top
        self.words = ""  # `total ▼`
        self._turned()

    def choose(self, column: str) -> None:
        """Sort by this from now on; if the list is sorted by it already, the other way round."""
        self.is_reversed = column == self.column and not self.is_reversed
        self.column = column
        self._turned()

    def reverse(self) -> None:
        """Turn the order around."""
        self.is_reversed = not self.is_reversed
        self._turned()

    def reset(self) -> bool:
        """Back to the usual order; False if that holds already."""
        was_usual = self.is_usual
        self.column, self.is_reversed = self.usual, False
        self._turned()
        return not was_usual

    @property
    def is_usual(self) -> bool:
        return self.column == self.usual and not self.is_reversed

    def _turned(self) -> None:
        self.mark = LARGEST_ON_TOP if self._has_largest_on_top else SMALLEST_ON_TOP
        self.words = f"{self.column} {self.mark}"

    @property
    def _has_largest_on_top(self) -> bool:
        return self.ways[self.column].is_text is self.is_reversed

    def top_last(self, rows: Iterable[T]) -> list[T]:
        """The rows in order, the top one last; of equal rows the later ones are nearer the top."""
        value = self.ways[self.column].value
        if value is None:
            return [*rows] if self._has_largest_on_top else [*rows][::-1]
        known: list[tuple[float | Decimal | str, T]] = []
        unknown: list[T] = []
        for row in rows:
            key = value(row)
            if key is None:
                unknown.append(row)
            else:
                known.append((key, row))
        # The values of one way are of one type.
        known.sort(key=_first, reverse=not self._has_largest_on_top)
        return [*unknown, *[row for _, row in known]]

    def top_first(self, rows: Iterable[T]) -> list[T]:
        """The rows in order from the top; equal rows stay as they are."""
        if self.ways[self.column].value is None:
            return self.top_last(rows)[::-1]
        return self.top_last([*rows][::-1])[::-1]


def _first(pair: tuple[float | Decimal | str, T]) -> float | Decimal | str:
    return pair[0]


def request_ways(*, is_fleet: bool = False) -> dict[str, Way[RequestRecord]]:
    """How requests can be sorted: by what their columns show, but for the id, which is random."""
    ways = _request_ways()
    return {**ways, "replica": _REPLICA} if is_fleet else ways


_REPLICA: Way[RequestRecord] = Way("v", lambda row: row.replica, is_text=True)


def _request_ways() -> dict[str, Way[RequestRecord]]:
    return {
        "time": Way("t", None),
        "key": Way("y", lambda row: row.client, is_text=True),
        "api": Way("a", lambda row: row.api or None, is_text=True),
        "path": Way("p", lambda row: row.endpoint or row.path, is_text=True),
        "agent": Way("w", lambda row: row.origin.agent, is_text=True),
        "session": Way("i", lambda row: row.origin.session, is_text=True),
        "model": Way("m", lambda row: row.model or None, is_text=True),
        "backend": Way("b", lambda row: row.backend, is_text=True),
        "zone": Way("z", lambda row: row.zone, is_text=True),
        "reason": Way("r", lambda row: row.reason, is_text=True),
        "tries": Way("x", lambda row: row.tried),
        "status": Way("s", lambda row: row.status),
        "stream": Way("l", lambda row: row.is_streaming),
        "first": Way("f", lambda row: row.first_byte_ms),
        "total": Way("o", lambda row: row.total_ms),
        "tokens": Way("n", lambda row: row.tokens),
        "cost": Way("c", lambda row: row.cost_usd),
        "error": Way("e", lambda row: row.error_code, is_text=True),
    }
