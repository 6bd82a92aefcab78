"""Statistics as JSON and back, exactly, for attached dashboards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from nexus_core.catalog import BackendType
from nexus_core.observe.event_json import UnreadableError
from nexus_core.observe.histogram import Histogram, TokenHistogram
from nexus_core.observe.operation_stats import (
    BACKEND_COUNTS,
    BackendStats,
    OperationKey,
    OperationStats,
)
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.stats import Stats
from nexus_core.types import PrivacyZone, RouteReason, is_object

_Read = TypeVar("_Read")

_HISTOGRAMS = ("first_byte", "total", "overhead")


def set_counters(stats: Stats, values: object) -> None:
    """Take over plain numbers; those that are not known here are left out.

    Raises:
        UnreadableError: one is not a whole number.
    """
    known = stats.counters()
    for name, value in _object(values).items():
        if name in known:
            setattr(stats, name, _whole(value))


def stats_as_json(stats: Stats) -> dict[str, Any]:
    """Everything that was counted, and what is remembered of the requests under way."""
    numbers = {key: number for number, key in enumerate(stats.operations)}
    by_identity = {id(operation): numbers[key] for key, operation in stats.operations.items()}
    return {
        "counters": stats.counters(),
        "reasons": dict(stats.reasons),
        "statuses": {str(status): count for status, count in stats.statuses.items()},
        "refusals": dict(stats.refusals),
        "cut_zones": sorted(stats.cut_zones),
        **{name: getattr(stats, name).as_json() for name in _HISTOGRAMS},
        "backends": {name: _backend(numbers) for name, numbers in stats.backends.items()},
        "durations": [
            [endpoint, status, histogram.as_json()]
            for (endpoint, status), histogram in stats.durations.items()
        ],
        "operations": [
            [list(key), _operation(operation)] for key, operation in stats.operations.items()
        ],
        "under_way": {
            request_id: [
                request.endpoint,
                request.is_streaming,
                None if request.operation is None else by_identity[id(request.operation)],
            ]
            for request_id, request in stats.under_way.items()
        },
    }


def _backend(numbers: BackendStats) -> dict[str, Any]:
    return {
        **{name: getattr(numbers, name) for name in BACKEND_COUNTS},
        "errors": dict(numbers.errors),
        "first_byte": numbers.first_byte.as_json(),
        "total": numbers.total.as_json(),
        "models": sorted(numbers.models),
    }


def _operation(numbers: OperationStats) -> dict[str, Any]:
    return {
        "duration": {error: each.as_json() for error, each in numbers.duration.items()},
        "first_token": numbers.first_token.as_json(),
        "prompt_tokens": numbers.prompt_tokens.as_json(),
        "completion_tokens": numbers.completion_tokens.as_json(),
    }


# And back -----------------------------------------------------------------------------------------


def read_stats(value: object) -> Stats:
    """Stats that count on as if they had seen every event themselves.

    Raises:
        UnreadableError: it is not what `stats_as_json` writes.
    """
    values, stats = _object(value), Stats()
    try:
        set_counters(stats, values["counters"])
        stats.reasons = Counter(_counts(values["reasons"], RouteReason))
        stats.statuses = Counter(_counts(values["statuses"], int))
        stats.refusals = Counter(_counts(values["refusals"], str))
        stats.cut_zones = set(map(PrivacyZone, _texts(values.get("cut_zones", ()))))
        for name in _HISTOGRAMS:
            setattr(stats, name, Histogram.read(values[name]))
        for name, numbers in _object(values["backends"]).items():
            stats.backends[name] = _read_backend(numbers)
        for endpoint, status, histogram in values["durations"]:
            stats.durations[_text(endpoint), _whole(status)] = Histogram.read(histogram)
        operations = [_read_operation(*pair) for pair in values["operations"]]
        stats.operations.update(operations)
        for request_id, (endpoint, is_streaming, number) in _object(values["under_way"]).items():
            operation = None if number is None else operations[_whole(number)][1]
            stats.under_way[request_id] = RequestRecord(
                request_id,
                0.0,  # of before this one looked
                endpoint=_text(endpoint),
                is_streaming=bool(is_streaming),
                operation=operation,
            )
    except (LookupError, TypeError, ValueError) as error:
        raise UnreadableError(f"stats: {type(error).__name__}") from error
    return stats


def _read_backend(value: object) -> BackendStats:
    values = _object(value)
    return BackendStats(
        **{name: _whole(values.get(name, 0)) for name in BACKEND_COUNTS},
        errors=Counter(_counts(values["errors"], str)),
        first_byte=Histogram.read(values["first_byte"]),
        total=Histogram.read(values["total"]),
        models=set(_texts(values["models"])),
    )


def _read_operation(key: Iterable[object], value: object) -> tuple[OperationKey, OperationStats]:
    values = _object(value)
    endpoint, backend, backend_type, model = _texts(key)
    duration = {error: Histogram.read(each) for error, each in _object(values["duration"]).items()}
    return OperationKey(endpoint, backend, BackendType(backend_type), model), OperationStats(
        duration=defaultdict(Histogram, duration),
        first_token=Histogram.read(values["first_token"]),
        prompt_tokens=TokenHistogram.read(values["prompt_tokens"]),
        completion_tokens=TokenHistogram.read(values["completion_tokens"]),
    )


def _object(value: object) -> Mapping[str, Any]:
    if not is_object(value):
        raise UnreadableError("stats: an object is required")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnreadableError("stats: a whole number is required")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnreadableError("stats: a text is required")
    return value


def _texts(values: Iterable[object]) -> list[str]:
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(list(values)):
        raise UnreadableError("stats: a text is required")
    return texts


def _counts(value: object, key: Callable[[str], _Read]) -> dict[_Read, int]:
    return {key(name): _whole(count) for name, count in _object(value).items()}
