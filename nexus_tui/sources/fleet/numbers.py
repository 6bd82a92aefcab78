"""Statistics and windows of several replicas, summed anew only when one of them changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from nexus_core.observe.stats import Stats
from nexus_core.observe.summed.counted import sum_counted
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.observe.windows.counted import Counted, count_until_now
from nexus_core.observe.windows.window import Window

_Made = TypeVar("_Made")


class Kept(Generic[_Made]):
    """A value that is made anew when what it is made of is another."""

    def __init__(self) -> None:
        self._of: Hashable = None
        self._made: _Made | None = None

    def of(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """The value for this key: the same one as for an equal key before."""
        if self._made is None or self._of != key:
            self._of, self._made = key, make()
        return self._made


class _Same:
    """Equal to another of the same object; keeps that alive, so that no other has its place."""

    __slots__ = ("_it",)

    def __init__(self, it: object) -> None:
        self._it = it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._it is other._it

    def __hash__(self) -> int:
        return id(self._it)


def same(values: Sequence[object]) -> Hashable:
    """A key that is equal for the very same objects."""
    return tuple(map(_Same, values))


class Past:
    """What a replica had counted when it went away; each window forgets it after its length."""

    def __init__(self, stats: Stats, before: dict[Window, Counted | None], at: float) -> None:
        """`at`: when it went, in monotonic seconds."""
        self.stats = stats
        stats.in_flight = 0
        self._before = before
        self._all = count_until_now(stats)
        self._at = at

    def counted_before(self, window: Window, at: float) -> Counted | None:
        """What it had counted before the window; in the end all of it."""
        length = window.seconds
        is_over = length is not None and at - self._at > length
        return self._all if is_over else self._before.get(window)


class FleetNumbers:
    """The sums, kept while nothing changes."""

    def __init__(self) -> None:
        self._stats = Kept[Stats]()
        self._counted: dict[Window, Kept[Counted]] = {}

    def stats(self, parts: Sequence[Stats]) -> Stats:
        """The replicas' statistics together."""
        key = tuple(
            [(*part.counters().values(), part.first_byte.count, _Same(part)) for part in parts]
        )
        return self._stats.of(key, lambda: sum_stats(parts))

    def counted(self, window: Window, parts: Sequence[Counted | None]) -> Counted | None:
        """What they had counted before the window; None: nothing."""
        known = [part for part in parts if part is not None]
        if not known:
            return None
        kept = self._counted.setdefault(window, Kept[Counted]())
        return kept.of(same(known), lambda: sum_counted(known))
