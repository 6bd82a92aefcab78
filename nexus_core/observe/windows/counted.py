"""What was counted until one time; and statistics of what came after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from nexus_core.observe.histogram import HistogramMark
from nexus_core.observe.operation_stats import BACKEND_COUNTS, BackendStats
from nexus_core.observe.stats import Stats
from nexus_core.types import RouteReason

HISTOGRAMS = ("first_byte", "total", "overhead")  # of Stats
_STATE = "in_flight"  # is of now, and no count

_counts_of = attrgetter(*BACKEND_COUNTS)


class BackendCounted(NamedTuple):
    """What was counted of one backend."""

    counts: tuple[int, ...]  # in the order of BACKEND_COUNTS
    began: int  # how many first bytes
    errors: Mapping[str, int]
    first_byte: HistogramMark
    total: HistogramMark


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted until one time. Nobody changes one: parts are shared by several."""

    counters: Mapping[str, int]
    began: int  # how many first bytes
    reasons: Mapping[RouteReason, int]
    statuses: Mapping[int, int]
    refusals: Mapping[str, int]
    histograms: Mapping[str, HistogramMark]
    backends: Mapping[str, BackendCounted]


def count_until_now(stats: Stats, before: Counted | None = None) -> Counted:
    """What is counted until now; what has not changed is taken over from `before`."""
    counters, began = stats.counters(), stats.first_byte.count
    del counters[_STATE]
    if before is not None and (before.counters, before.began) == (counters, began):
        return before
    known = dict[str, BackendCounted]() if before is None else before.backends
    return Counted(
        counters=counters,
        began=began,
        reasons=dict(stats.reasons),
        statuses=dict(stats.statuses),
        refusals=dict(stats.refusals),
        histograms={name: getattr(stats, name).mark() for name in HISTOGRAMS},
        backends={
            name: _count_backend(numbers, known.get(name))
            for name, numbers in stats.backends.items()
        },
    )


def _count_backend(numbers: BackendStats, before: BackendCounted | None) -> BackendCounted:
    counts, began = _counts_of(numbers), numbers.first_byte.count
    if before is not None and (before.counts, before.began) == (counts, began):
        return before
    return BackendCounted(
        counts, began, dict(numbers.errors), numbers.first_byte.mark(), numbers.total.mark()
    )


# And what came after ------------------------------------------------------------------------------


def since(stats: Stats, counted: Counted) -> Stats:
    """Statistics of what came after; by kind of work (`operations`, `durations`) there is nothing.

    What the two disagree on, as when one of them is old, is never below zero.
    """
    after = stats_but_backends_since(stats, counted)
    for name, numbers in stats.backends.items():
        after.backends[name] = backend_since(numbers, counted.backends.get(name))
    return after


def stats_but_backends_since(stats: Stats, counted: Counted) -> Stats:
    """The same without any backend: where those are asked for one by one."""
    after = Stats()
    for name, value in stats.counters().items():
        left = value if name == _STATE else max(0, value - counted.counters.get(name, 0))
        setattr(after, name, left)
    after.reasons = stats.reasons - Counter(counted.reasons)
    after.statuses = stats.statuses - Counter(counted.statuses)
    after.refusals = stats.refusals - Counter(counted.refusals)
    for name in HISTOGRAMS:
        setattr(after, name, getattr(stats, name).since(counted.histograms[name]))
    return after


def backend_since(numbers: BackendStats, counted: BackendCounted | None) -> BackendStats:
    """One backend's numbers of what came after; all of them where it had none by then."""
    if counted is None:
        return numbers
    pairs = zip(BACKEND_COUNTS, _counts_of(numbers), counted.counts, strict=True)
    return BackendStats(
        **{name: max(0, now - then) for name, now, then in pairs},
        errors=numbers.errors - Counter(counted.errors),
        first_byte=numbers.first_byte.since(counted.first_byte),
        total=numbers.total.since(counted.total),
        models=numbers.models,
    )
