"""What several processes had counted until a time, together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from nexus_core.observe.histogram import HistogramMark
from nexus_core.observe.windows.counted import HISTOGRAMS, BackendCounted, Counted

_Key = TypeVar("_Key")


def sum_counted(parts: Sequence[Counted]) -> Counted:
    """What they had counted together, each until its own time."""
    backends: dict[str, list[BackendCounted]] = {}
    for part in parts:
        for name, counted in part.backends.items():
            backends.setdefault(name, []).append(counted)
    return Counted(
        counters=_counts(part.counters for part in parts),
        began=sum(part.began for part in parts),
        reasons=_counts(part.reasons for part in parts),
        statuses=_counts(part.statuses for part in parts),
        refusals=_counts(part.refusals for part in parts),
        histograms={
            name: HistogramMark.sum_of([part.histograms[name] for part in parts])
            for name in HISTOGRAMS
        },
        backends={name: _backend(of_name) for name, of_name in backends.items()},
    )


def _backend(parts: Sequence[BackendCounted]) -> BackendCounted:
    return BackendCounted(
        tuple(map(sum, zip(*(part.counts for part in parts), strict=True))),
        sum(part.began for part in parts),
        _counts(part.errors for part in parts),
        HistogramMark.sum_of([part.first_byte for part in parts]),
        HistogramMark.sum_of([part.total for part in parts]),
    )


def _counts(maps: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    together: dict[_Key, int] = {}
    for one in maps:
        for key, count in one.items():
            together[key] = together.get(key, 0) + count
    return together
