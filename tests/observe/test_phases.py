"""Events are made from a record when they are read, and each tells what was known then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    Considered,
    FirstByteReceived,
    RequestFinished,
    RequestReceived,
    RouteDecided,
    TokenUsage,
)
from nexus_core.observe.phases import (
    Phase,
    Reached,
    event_of,
    record_of,
    request_that_began,
    request_that_ended,
    take,
)
from nexus_core.observe.record import RequestRecord, as_bytes, header_lines
from nexus_core.types import Cost, HealthStatus, PrivacyZone

# What a header of HTTP can hold.
NAMES = st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=8)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=3).map(tuple)
MS = st.floats(0, 1e6)
AT = st.floats(0, 2e9)
CONSIDERED = Considered(
    backend="b",
    zone=PrivacyZone.OPEN,
    tier=None,
    health=HealthStatus.HEALTHY,
    priority=50,
    position=1,
    dropped_by=None,
    why=None,
)
RECEIVED = st.builds(RequestReceived, at=AT, request_id=st.just("r"), headers=HEADERS)
DECIDED = st.builds(
    RouteDecided,
    at=AT,
    request_id=st.just("r"),
    backend=st.just("b"),
    attempt=st.just(1),
    considered=st.just((CONSIDERED,)),
)
BEGAN = st.builds(
    FirstByteReceived,
    at=AT,
    request_id=st.just("r"),
    backend=st.just("b"),
    first_byte_ms=MS,
    headers=HEADERS,
)
FINISHED = st.builds(
    RequestFinished,
    at=AT,
    request_id=st.just("r"),
    backend=st.just("b"),
    total_ms=MS,
    first_byte_ms=st.none() | MS,
    overhead_ms=st.none() | MS,
    usage=st.none() | st.builds(TokenUsage),
    cost=st.none() | st.builds(Cost),
    estimated=st.none() | st.builds(Cost),
    saved=st.none() | st.builds(Cost),
    attempts=st.lists(st.builds(Attempt, elapsed_ms=MS), max_size=2).map(tuple),
    considered=st.just((CONSIDERED,)),
    headers=HEADERS,
)


@given(RECEIVED, DECIDED, BEGAN, FINISHED)
def test_an_event_that_a_record_took_in_is_made_of_it_again(
    received: RequestReceived,
    decided: RouteDecided,
    began: FirstByteReceived,
    finished: RequestFinished,
) -> None:
    record = record_of(received)

    assert event_of(Reached(Phase.RECEIVED, record)) == received
    for event in (decided, began, finished):
        assert event_of(Reached(take(record, event), record)) == event


def attempt(backend: str) -> AttemptFailed:
    failed = Attempt(backend=backend, error="answered 503", status=503, elapsed_ms=1)
    return AttemptFailed(at=3.0, request_id="r", attempt=failed)


def test_a_failed_attempt_is_told_by_its_number() -> None:
    record = RequestRecord("r", 1.0, failures=(attempt("a"), attempt("b")))

    assert event_of(Reached(Phase.FAILED, record)) == attempt("a")
    assert event_of(Reached(Phase.FAILED, record, 2)) == attempt("b")


def test_only_the_first_and_the_last_phase_begin_and_end_a_request() -> None:
    record = RequestRecord("r", 1.0, failures=(attempt("a"),))
    reached: list[Any] = [Reached(phase, record) for phase in Phase] + [attempt("a")]

    assert [request_that_began(one) for one in reached] == ["r", None, None, None, None, None]
    assert [request_that_ended(one) for one in reached] == [None, None, None, None, "r", None]


def test_nothing_is_told_of_a_decision_that_there_was_not() -> None:
    with pytest.raises(ValueError, match="attempt 1"):
        event_of(Reached(Phase.DECIDED, RequestRecord("r", 1.0)))


def test_what_no_header_can_hold_is_replaced() -> None:
    asked, answered = (("x-model", "a → é"),), (("x-model", "a → é\r\nx: y"), ("b", ""))
    record = RequestRecord("r", 1.0, asked_headers=as_bytes(asked))
    record.answer_headers = header_lines(answered)

    assert record.request_headers == (("x-model", "a ? é"),)
    assert record.response_headers == (("x-model", "a ? é??x: y"), ("b", ""))
