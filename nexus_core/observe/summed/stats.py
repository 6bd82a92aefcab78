"""Statistics of several processes together: each number is the sum of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from nexus_core.observe.histogram import Histogram, TokenHistogram
from nexus_core.observe.operation_stats import BACKEND_COUNTS, BackendStats, OperationStats
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.stats import Stats

_Key = TypeVar("_Key")


def sum_stats(parts: Sequence[Stats]) -> Stats:
    """What they counted together; another Stats, which nothing of theirs changes later.

    It counts on as if it had seen every event, its requests under way included.
    """
    together = Stats()
    for part in parts:
        for name, value in part.counters().items():
            setattr(together, name, getattr(together, name) + value)
        together.cut_zones |= part.cut_zones
    together.reasons = _counts(part.reasons for part in parts)
    together.statuses = _counts(part.statuses for part in parts)
    together.refusals = _counts(part.refusals for part in parts)
    together.first_byte = Histogram.sum_of([part.first_byte for part in parts])
    together.total = Histogram.sum_of([part.total for part in parts])
    together.overhead = Histogram.sum_of([part.overhead for part in parts])
    for name in _keys(part.backends for part in parts):
        of_name = [part.backends[name] for part in parts if name in part.backends]
        together.backends[name] = sum_backend(of_name)
    for key in _keys(part.durations for part in parts):
        together.durations[key] = Histogram.sum_of(
            [part.durations[key] for part in parts if key in part.durations]
        )
    for kind in _keys(part.operations for part in parts):
        of_kind = [part.operations[kind] for part in parts if kind in part.operations]
        together.operations[kind] = _operation(of_kind)
    for part in parts:
        together.under_way |= _under_way(part, together)
    return together


def _under_way(part: Stats, together: Stats) -> Iterator[tuple[str, RequestRecord]]:
    """Its requests under way, counted under the kinds of work of the sum."""
    kinds = {id(operation): together.operations[key] for key, operation in part.operations.items()}
    for request_id, record in part.under_way.items():
        yield request_id, replace(record, operation=kinds.get(id(record.operation)))


def sum_backend(parts: Sequence[BackendStats]) -> BackendStats:
    """One backend's numbers, of several processes that use it."""
    return BackendStats(
        **{name: sum(getattr(part, name) for part in parts) for name in BACKEND_COUNTS},
        errors=_counts(part.errors for part in parts),
        first_byte=Histogram.sum_of([part.first_byte for part in parts]),
        total=Histogram.sum_of([part.total for part in parts]),
        models={model for part in parts for model in part.models},
    )


def _operation(parts: Sequence[OperationStats]) -> OperationStats:
    together = OperationStats(
        first_token=Histogram.sum_of([part.first_token for part in parts]),
        prompt_tokens=TokenHistogram.sum_of([part.prompt_tokens for part in parts]),
        completion_tokens=TokenHistogram.sum_of([part.completion_tokens for part in parts]),
    )
    for error in _keys(part.duration for part in parts):
        together.duration[error] = Histogram.sum_of(
            [part.duration[error] for part in parts if error in part.duration]
        )
    return together


def _counts(counters: Iterable[Counter[_Key]]) -> Counter[_Key]:
    together = Counter[_Key]()
    for one in counters:
        together.update(one)
    return together


def _keys(maps: Iterable[Iterable[_Key]]) -> list[_Key]:
    """Their keys, each once, in order of first appearance."""
    return list(dict.fromkeys(key for one in maps for key in one))
