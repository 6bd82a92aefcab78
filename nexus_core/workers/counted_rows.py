"""Count what a worker did after it last said what it counted, by the rows of its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexus_core.catalog import BackendType
from nexus_core.money.ledger_schema import COLUMNS, LedgerRow
from nexus_core.observe.events import (
    FirstByteReceived,
    RequestFinished,
    RequestReceived,
    RouteDecided,
    TokenUsage,
)
from nexus_core.observe.stats import Stats
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.types import Cost, CountMethod, PrivacyZone, RouteReason

_COUNTS = tuple(name for name in TokenUsage.__struct_fields__ if name in COLUMNS)


def count_rows(stats: Stats, rows: Sequence[LedgerRow], *, after: float) -> Stats:
    """These statistics and the requests that ended after that time, as far as rows tell of them.

    Failed attempts at other backends are not among what they tell.
    """
    counted = sum_stats([stats])
    for row in rows:
        values = dict(zip(COLUMNS, row, strict=True))
        if _number(values["at"]) > after:
            _count(counted, values)
    return counted


def _count(stats: Stats, row: Mapping[str, object]) -> None:
    request_id = str(row["request_id"])
    if request_id not in stats.under_way:
        _begin(stats, row, request_id)
    kind, zone, reason = row["backend_type"], row["zone"], row["reason"]
    stats.apply(
        RequestFinished(
            at=_number(row["at"]),
            request_id=request_id,
            backend=_text(row["backend"]),
            backend_type=None if kind is None else BackendType(str(kind)),
            zone=None if zone is None else PrivacyZone(str(zone)),
            reason=None if reason is None else RouteReason(str(reason)),
            model=str(row["model"] or row["asked_model"]),
            status=_whole(row["status"]),
            failed=bool(row["failed"]),
            client_left=bool(row["client_left"]),
            error=None,
            total_ms=_number(row["total_ms"]),
            first_byte_ms=_maybe(row["first_byte_ms"]),
            overhead_ms=_maybe(row["overhead_ms"]),
            usage=_usage(row),
            counted=None if row["counted"] is None else CountMethod(str(row["counted"])),
            cost=_cost(row["cost_nano_usd"], row["price_source"]),
            is_unpriced=bool(row["is_unpriced"]),
            is_partial=bool(row["is_partial"]),
            saved=_cost(row["saved_nano_usd"], None),
            attempts=(),
            considered=(),
            headers=(),
        )
    )


def _begin(stats: Stats, row: Mapping[str, object], request_id: str) -> None:
    """Count its beginning, which was not told of either."""
    at, backend = _number(row["at"]), _text(row["backend"])
    stats.apply(
        RequestReceived(
            at=at,
            request_id=request_id,
            endpoint=str(row["endpoint"]),
            model=str(row["asked_model"]),
            is_streaming=bool(row["is_streaming"]),
            client=None,
            headers=(),
            body_bytes=0,
        )
    )
    if backend is None or row["backend_type"] is None:
        return
    stats.apply(
        RouteDecided(
            at=at,
            request_id=request_id,
            backend=backend,
            backend_type=BackendType(str(row["backend_type"])),
            zone=PrivacyZone(str(row["zone"])),
            model=str(row["model"]),
            reason=RouteReason(str(row["reason"])),
            attempt=_whole(row["attempts"]),
            resolved=(),
            considered=(),
        )
    )
    if row["first_byte_ms"] is not None:
        stats.apply(
            FirstByteReceived(
                at=at,
                request_id=request_id,
                backend=backend,
                status=_whole(row["status"]),
                first_byte_ms=_number(row["first_byte_ms"]),
                headers=(),
            )
        )


def _usage(row: Mapping[str, object]) -> TokenUsage | None:
    if row["prompt_tokens"] is None:
        return None
    return TokenUsage(**{name: _whole(row[name]) for name in _COUNTS})


def _cost(nano_usd: object, source: object) -> Cost | None:
    return None if nano_usd is None else Cost(_whole(nano_usd), str(source or ""))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _maybe(value: object) -> float | None:
    return None if value is None else _number(value)


def _number(value: object) -> float:
    return float(str(value))


def _whole(value: object) -> int:
    return int(str(value or 0))
