"""What was counted until one time as JSON and back, for attached dashboards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nexus_core.observe.event_json import UnreadableError
from nexus_core.observe.histogram import Histogram, HistogramMark
from nexus_core.observe.operation_stats import BACKEND_COUNTS
from nexus_core.observe.windows.counted import HISTOGRAMS, BackendCounted, Counted
from nexus_core.types import RouteReason, is_object

_Key = TypeVar("_Key")


def counted_as_json(counted: Counted) -> dict[str, Any]:
    """All of it."""
    return {
        "counters": counted.counters,
        "began": counted.began,
        "reasons": counted.reasons,
        "statuses": {str(status): count for status, count in counted.statuses.items()},
        "refusals": counted.refusals,
        "histograms": {name: _histogram(mark) for name, mark in counted.histograms.items()},
        "backends": {
            name: {
                "counts": dict(zip(BACKEND_COUNTS, backend.counts, strict=True)),
                "began": backend.began,
                "errors": backend.errors,
                "first_byte": _histogram(backend.first_byte),
                "total": _histogram(backend.total),
            }
            for name, backend in counted.backends.items()
        },
    }


def _histogram(mark: HistogramMark) -> dict[str, Any]:
    filled = {str(index): count for index, count in enumerate(mark.counts, mark.first) if count}
    return {"buckets": filled, "sum_ms": mark.sum_ms}


# And back -----------------------------------------------------------------------------------------


def read_counted(value: object) -> Counted:
    """What was counted, as another Nexus tells it.

    Raises:
        UnreadableError: it is not what `counted_as_json` writes.
    """
    try:
        told = _object(value)
        return Counted(
            counters=_counts(told["counters"], str),
            began=_whole(told["began"]),
            reasons=_counts(told["reasons"], RouteReason),
            statuses=_counts(told["statuses"], int),
            refusals=_counts(told["refusals"], str),
            histograms={name: _mark(_object(told["histograms"])[name]) for name in HISTOGRAMS},
            backends={
                name: _read_backend(numbers) for name, numbers in _object(told["backends"]).items()
            },
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableError(f"windows: {type(error).__name__}") from error


def _read_backend(value: object) -> BackendCounted:
    told = _object(value)
    counts = _counts(told["counts"], str)
    return BackendCounted(
        tuple(counts.get(name, 0) for name in BACKEND_COUNTS),
        _whole(told["began"]),
        _counts(told["errors"], str),
        _mark(told["first_byte"]),
        _mark(told["total"]),
    )


def _mark(value: object) -> HistogramMark:
    return Histogram.read(_object(value)).mark()


def _object(value: object) -> dict[str, Any]:
    if not is_object(value):
        raise TypeError("an object is required")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("a whole number is required")
    return value


def _counts(value: object, key: Callable[[str], _Key]) -> dict[_Key, int]:
    return {key(name): _whole(count) for name, count in _object(value).items()}
