"""The phases of a request: each one as an event made from the request's record, and back."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, auto
from typing import Any, TypeAlias, assert_never

import msgspec

from nexus_core.observe.events import (
    AttemptFailed,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
)
from nexus_core.observe.origin.origin import Origin, read_origin
from nexus_core.observe.record import DecisionToTell, RequestRecord, as_bytes, header_lines


class Phase(IntEnum):
    """A phase of a request; each one is an event for whoever reads it."""

    RECEIVED = 0  # RequestReceived
    DECIDED = auto()  # RouteDecided
    FAILED = auto()  # AttemptFailed
    BEGAN = auto()  # FirstByteReceived
    FINISHED = auto()  # RequestFinished


# To look up a member is a call in Python 3.11.
RECEIVED, DECIDED, FAILED, BEGAN, FINISHED = Phase


class Reached(msgspec.Struct, gc=False):
    """A phase that was reached. Thousands are kept: garbage collection need not look at them."""

    phase: Phase
    record: RequestRecord
    number: int = 1  # the attempt's, which tells those of several apart


# What readers keep: an event, or what it is made from when it is read.
Happened: TypeAlias = NexusEvent | Reached

RequestEvent: TypeAlias = (
    RequestReceived | RouteDecided | AttemptFailed | FirstByteReceived | RequestFinished
)


def event_of(happened: Happened) -> NexusEvent:
    """The event; of an earlier attempt too it tells what was known then."""
    if not isinstance(happened, Reached):
        return happened
    return _MAKERS[happened.phase](happened.record, happened.number)


def request_that_began(happened: Happened) -> str | None:
    """The id of the request that is received with it; None where it is anything else."""
    if isinstance(happened, Reached):
        return happened.record.request_id if happened.phase is RECEIVED else None
    return happened.request_id if isinstance(happened, RequestReceived) else None


def request_that_ended(happened: Happened) -> str | None:
    """The id of the request that is over with it; None where it is anything else."""
    if isinstance(happened, Reached):
        return happened.record.request_id if happened.phase is FINISHED else None
    return happened.request_id if isinstance(happened, RequestFinished) else None


# From a record -----------------------------------------------------------------------------------


def _received(record: RequestRecord, _: int) -> RequestReceived:
    return RequestReceived(
        at=record.at,
        request_id=record.request_id,
        endpoint=record.endpoint,
        model=record.asked_model,
        is_streaming=record.is_streaming,
        client=record.client,
        headers=record.request_headers,
        body_bytes=record.body_bytes,
        replay_of=record.replay_of,
        agent=record.origin.agent,
        session=record.origin.session,
        subagent=record.origin.subagent,
    )


def decided(record: RequestRecord, attempt: int) -> RouteDecided:
    """What was decided for an attempt, whatever was decided after it."""
    if attempt <= len(record.replaced):
        return record.replaced[attempt - 1]
    backend, kind, zone, reason = record.backend, record.backend_type, record.zone, record.reason
    if backend is None or kind is None or zone is None or reason is None:
        raise ValueError(f"nothing was decided for attempt {attempt}")
    return RouteDecided(
        at=record.decided_at,
        request_id=record.request_id,
        backend=backend,
        backend_type=kind,
        zone=zone,
        model=record.route_model or "",
        reason=reason,
        attempt=attempt,
        resolved=record.resolved,
        considered=record.considered,
    )


def _failed(record: RequestRecord, attempt: int) -> AttemptFailed:
    return record.failures[attempt - 1]


def _began(record: RequestRecord, _: int) -> FirstByteReceived:
    return FirstByteReceived(
        at=record.began_at,
        request_id=record.request_id,
        backend=record.backend or "",
        status=record.status or 0,
        first_byte_ms=record.first_byte_ms or 0.0,
        headers=record.response_headers,
    )


# Fields of the same name in a record and in the event of its end.
_OF_BOTH = tuple({*RequestFinished.__struct_fields__} & {*RequestRecord.__struct_fields__} - {"at"})


def finished(record: RequestRecord, _: int = 0) -> RequestFinished:
    """How a request ended, of one that is over."""
    of_both: dict[str, Any] = {name: getattr(record, name) for name in _OF_BOTH}
    return RequestFinished(
        **of_both,
        at=record.ended_at or 0.0,
        model=record.asked_model if record.route_model is None else record.route_model,
        attempts=record.attempts,
        considered=record.considered,
        headers=record.response_headers,
    )


_MAKERS: dict[Phase, Callable[[RequestRecord, int], NexusEvent]] = {
    Phase.RECEIVED: _received,
    Phase.DECIDED: decided,
    Phase.FAILED: _failed,
    Phase.BEGAN: _began,
    Phase.FINISHED: finished,
}


# Back to a record --------------------------------------------------------------------------------


def record_of(event: RequestReceived | RequestRefused) -> RequestRecord:
    """A new record of a request that came, or of a call that was refused before it was routed."""
    if isinstance(event, RequestRefused):
        return RequestRecord(
            event.request_id,
            event.at,
            refused=event,
            status=event.status,
            error=event.code,
            error_code=event.code,
        )
    return RequestRecord(
        request_id=event.request_id,
        at=event.at,
        endpoint=event.endpoint,
        asked_model=event.model,
        is_streaming=event.is_streaming,
        client=event.client,
        asked_headers=as_bytes(event.headers),
        body_bytes=event.body_bytes,
        replay_of=event.replay_of,
        origin=_origin_of(event),
    )


def _origin_of(event: RequestReceived) -> Origin:
    """An older Nexus tells of no origin, but of the headers that it is read from."""
    if event.agent is None and event.session is None:
        return read_origin(as_bytes((name.lower(), value) for name, value in event.headers))
    return Origin(event.agent, event.session, event.subagent)


def take(record: RequestRecord, event: RequestEvent) -> Phase:
    """Write into a record what an event tells, as another Nexus told it; gives its phase."""
    match event:
        case RequestReceived():
            return Phase.RECEIVED  # `record_of` makes a record of it
        case RouteDecided():
            phase = Phase.DECIDED
            record.attempt, record.decided_at = event.attempt, event.at
            record.backend, record.backend_type = event.backend, event.backend_type
            record.zone, record.reason = event.zone, event.reason
            record.route_model, record.resolved = event.model, event.resolved
            record.decision = DecisionToTell(event.considered)
        case AttemptFailed():
            phase = Phase.FAILED
            record.failures = (*record.failures, event)
        case FirstByteReceived():
            phase = Phase.BEGAN
            record.began_at, record.backend, record.status = event.at, event.backend, event.status
            record.first_byte_ms = event.first_byte_ms
            record.answer_headers = header_lines(event.headers)
        case RequestFinished():
            phase = Phase.FINISHED
            _take_end(record, event)
        case _:
            assert_never(event)
    record.version += 1
    return phase


def _take_end(record: RequestRecord, event: RequestFinished) -> None:
    for name in _OF_BOTH:
        setattr(record, name, getattr(event, name))
    record.ended_at, record.answer_headers = event.at, header_lines(event.headers)
    record.route_model = event.model if event.backend is not None else None
    record.decision = DecisionToTell(event.considered)
    if record.attempts != event.attempts:  # the events of some were not seen
        record.failures = tuple(
            AttemptFailed(at=event.at, request_id=event.request_id, attempt=attempt)
            for attempt in event.attempts
        )
