"""A request as GET /nexus/requests/ID tells it, as a record again."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from nexus_core.catalog import BackendType
from nexus_core.observe.event_json import read_json
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    Considered,
    RequestRefused,
    TokenUsage,
)
from nexus_core.observe.origin.origin import Origin
from nexus_core.observe.record import (
    DecisionToTell,
    Headers,
    RequestRecord,
    as_bytes,
    header_lines,
)
from nexus_core.types import NANO, Cost, CountMethod, PrivacyZone, RouteReason


class ToldRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, by its keys; a newer Nexus may tell more, and an older one less."""

    id: str
    at: float
    replica: str | None = None
    endpoint: str | None = None
    path: str | None = None
    client: str | None = None
    agent: str | None = None
    session: str | None = None
    subagent: str | None = None
    model: str | None = None
    served_model: str | None = None
    is_streaming: bool | None = None
    body_bytes: int | None = None
    replay_of: str | None = None
    resolved: tuple[str, ...] = ()
    backend: str | None = None
    backend_type: BackendType | None = None
    zone: PrivacyZone | None = None
    reason: RouteReason | None = None
    considered: tuple[Considered, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    status: int | None = None
    is_running: bool | None = None
    client_left: bool | None = None
    error: str | None = None
    error_code: str | None = None
    is_partial: bool | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None
    overhead_ms: float | None = None
    usage: TokenUsage | None = None
    counted: CountMethod | None = None
    cost_usd: float | None = None
    estimated_usd: float | None = None
    price_from: str | None = None
    is_unpriced: bool | None = None
    saved_usd: float | None = None
    saved_model: str | None = None
    request_headers: Headers = ()
    response_headers: Headers = ()
    has_body: bool = False


def read_told(value: object) -> ToldRequest:
    """
    Raises:
        ValueError: it is no such answer.
    """
    return read_json(ToldRequest, value)


def record_of(told: ToldRequest) -> RequestRecord:
    """Everything that it tells, as the screen knows it."""
    record = RequestRecord(
        told.id,
        told.at,
        endpoint=told.endpoint or "",
        asked_model=told.model or "",
        is_streaming=bool(told.is_streaming),
        client=told.client,
        asked_headers=as_bytes(told.request_headers),
        body_bytes=told.body_bytes or 0,
        replay_of=told.replay_of,
        origin=Origin(told.agent, told.session, told.subagent),
        backend=told.backend,
        backend_type=told.backend_type,
        zone=told.zone,
        reason=told.reason,
        route_model=told.served_model,
        resolved=told.resolved,
        decision=DecisionToTell(told.considered),
        failures=tuple(
            AttemptFailed(at=told.at, request_id=told.id, attempt=one) for one in told.attempts
        ),
        status=told.status,
        first_byte_ms=told.first_byte_ms,
        answer_headers=header_lines(told.response_headers),
        client_left=bool(told.client_left),
        error=told.error,
        error_code=told.error_code,
        total_ms=told.total_ms,
        overhead_ms=told.overhead_ms,
        usage=told.usage,
        counted=told.counted,
        estimated=_cost(told.estimated_usd, told.price_from),
        cost=_cost(told.cost_usd, told.price_from),
        is_unpriced=bool(told.is_unpriced),
        is_partial=bool(told.is_partial),
        saved=_cost(told.saved_usd, told.price_from),
        saved_model=told.saved_model,
    )
    record.replica = told.replica
    if not told.is_running:
        record.ended_at = told.at + (told.total_ms or 0.0) / 1000
    if told.path is not None:
        record.refused = RequestRefused(
            at=told.at,
            request_id=told.id,
            path=told.path,
            status=told.status or 0,
            code=told.error_code or "",
        )
    return record


def _cost(usd: float | None, source: str | None) -> Cost | None:
    return None if usd is None else Cost(round(Decimal(str(usd)) * NANO), source or "")
