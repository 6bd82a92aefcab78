from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nexus_core.catalog import BackendType
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    Considered,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestRefused,
    RouteDecided,
    ZoneToggled,
)
from nexus_core.observe.histogram import Histogram, TokenHistogram
from nexus_core.observe.operation_stats import OperationKey
from nexus_core.observe.stats import Stats, known_status
from nexus_core.types import (
    Cost,
    CountMethod,
    HealthStatus,
    PrivacyZone,
    RouteReason,
)
from tests.observe.happened import answered, received

ATTEMPT = Attempt(backend="a", error="answered 503", status=503, elapsed_ms=3)


def decided(attempt: int = 1, **changes: Any) -> RouteDecided:
    values: dict[str, Any] = {
        "at": 1,
        "request_id": "r",
        "backend": "b",
        "backend_type": BackendType.OPENAI,
        "zone": PrivacyZone.OPEN,
        "model": "m",
        "reason": RouteReason.CAPABILITY_MATCH,
        "attempt": attempt,
        "resolved": ("m",),
        "considered": (),
    }
    return RouteDecided(**{**values, **changes})


def failed(attempt: Attempt = ATTEMPT) -> AttemptFailed:
    return AttemptFailed(at=1, request_id="r", attempt=attempt)


def began(status: int = 200, backend: str = "b") -> FirstByteReceived:
    return FirstByteReceived(
        at=1, request_id="r", backend=backend, status=status, first_byte_ms=5, headers=()
    )


def finished(**changes: Any) -> RequestFinished:
    return replace(answered(reason=RouteReason.BACKEND_FAILOVER), **changes)


def fold(*events: Any) -> Stats:
    stats = Stats()
    for event in events:
        stats.apply(event)
    return stats


def test_one_request_after_a_failover() -> None:
    stats = fold(
        received(),
        decided(),
        AttemptFailed(at=1, request_id="r", attempt=ATTEMPT),
        decided(2),
        began(),
        finished(),
    )

    assert (stats.requests, stats.in_flight, stats.finished, stats.failed) == (1, 0, 1, 0)
    assert stats.failovers == 1
    assert stats.reasons == {RouteReason.BACKEND_FAILOVER: 1}
    assert (stats.cloud_answers, stats.local_answers) == (1, 0)
    assert (stats.prompt_tokens, stats.completion_tokens) == (3, 4)
    assert (stats.backend("a").failures, stats.backend("a").answers) == (1, 0)
    assert (stats.backend("b").failures, stats.backend("b").answers) == (0, 1)
    assert stats.backend("b").first_byte.count == 1


@pytest.mark.parametrize(
    ("counted", "tokens", "estimated"),
    [
        (CountMethod.REPORTED, (3, 4), 0),
        (CountMethod.EXACT, (0, 0), 7),
        (CountMethod.ESTIMATED, (0, 0), 7),
    ],
)
def test_what_nexus_counted_itself_is_kept_apart(
    counted: CountMethod, tokens: tuple[int, int], estimated: int
) -> None:
    stats = fold(received(), decided(), began(), finished(counted=counted, cost=Cost(7, "config")))

    assert (stats.prompt_tokens, stats.completion_tokens) == tokens
    for numbers in (stats, stats.backend("b")):
        assert (numbers.cost_nano_usd, numbers.estimated_nano_usd) == (7, estimated)


def test_a_stream_that_breaks_off_is_one_failure_of_its_backend() -> None:
    stats = fold(received(), decided(), began(), finished(failed=True))

    assert stats.failed == 1
    assert stats.backend("b").failures == 1


def test_an_attempt_that_failed_is_not_counted_again_at_the_end() -> None:
    stats = fold(
        received(),
        decided(),
        AttemptFailed(at=1, request_id="r", attempt=ATTEMPT),
        finished(
            backend="a",
            failed=True,
            status=502,
            first_byte_ms=None,
            usage=None,
            attempts=(ATTEMPT,),
        ),
    )

    assert stats.backend("a").failures == 1
    assert stats.backend("a").errors == {"503": 1}


def test_a_failed_attempt_whose_answer_the_client_gets_is_one_failure() -> None:
    stats = fold(
        received(),
        decided(backend="a"),
        failed(),
        began(503, "a"),
        finished(backend="a", failed=True, status=503, usage=None, attempts=(ATTEMPT,)),
    )

    assert stats.backend("a").failures == 1
    assert sum(h.count for o in stats.operations.values() for h in o.duration.values()) == 1


@pytest.mark.parametrize(
    ("changes", "error", "failures"),
    [
        ({}, "", 0),
        ({"failed": True}, "broken", 1),
        ({"failed": True, "status": 504, "first_byte_ms": None}, "timeout", 1),
        ({"failed": True, "status": 503, "first_byte_ms": None}, "503", 0),  # Nexus is ending
        ({"client_left": True, "status": 499, "first_byte_ms": None}, "cancelled", 0),
        ({"status": 400}, "400", 0),  # the client's own mistake
        ({"status": 471}, "400", 0),
    ],
)
def test_how_an_attempt_ended_is_one_word(
    changes: dict[str, Any], error: str, failures: int
) -> None:
    stats = fold(received(), decided(), began(), finished(**changes))

    key = OperationKey("/v1/chat/completions", "b", BackendType.OPENAI, "m")
    assert {word: h.count for word, h in stats.operations[key].duration.items()} == {error: 1}
    assert stats.backend("b").failures == failures == sum(stats.backend("b").errors.values())


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, "503"), (529, "529"), (599, "500"), (None, "no_answer"), (200, "bad_answer")],
)
def test_why_an_attempt_failed_is_one_word(status: int | None, error: str) -> None:
    attempt = Attempt(backend="a", error="for people", status=status, elapsed_ms=3)

    stats = fold(received(), decided(backend="a"), failed(attempt))

    assert stats.backend("a").errors == {error: 1}
    assert (stats.attempts, stats.backend("a").attempts) == (1, 1)


def test_only_streams_have_a_first_token() -> None:
    for is_streaming in (True, False):
        stats = fold(received(is_streaming=is_streaming), decided(), began(), finished())

        assert [o.first_token.count for o in stats.operations.values()] == [is_streaming]


def test_nothing_is_kept_of_a_request_that_is_over() -> None:
    stats = fold(received(), decided(), began(), finished())

    assert stats.under_way == {}


@given(st.integers(100, 999))
def test_a_status_is_registered_or_its_class(status: int) -> None:
    assert known_status(status) in {status, status // 100 * 100}
    assert known_status(known_status(status)) == known_status(status)


@given(st.lists(st.floats(0.01, 300_000)))
def test_cumulative_counts_are_exact_at_ten_ms_times_powers_of_two(values: list[float]) -> None:
    bounds = [10 * 2.0**power for power in range(-6, 14)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)

    counts = histogram.cumulative(bounds)

    assert counts == [sum(value < bound for value in values) for bound in bounds]


@given(st.lists(st.integers(0, 10**9)))
def test_token_counts_are_exact_at_every_bound(values: list[int]) -> None:
    histogram = TokenHistogram()
    for value in values:
        histogram.add(value)

    below = [sum(value <= bound for value in values) for bound in TokenHistogram.BOUNDS]
    assert histogram.cumulative() == below
    assert (histogram.count, histogram.sum) == (len(values), sum(values))


def test_a_refused_call_counts_as_a_status_and_not_as_a_request() -> None:
    stats = fold(
        RequestRefused(at=1, request_id="r", path="/v1/chat/completions", status=401, code="x")
    )

    assert (stats.turned_away, stats.requests, stats.statuses[401]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ({}, "answers"),
        ({"status": 502, "failed": True}, "failed"),
        ({"failed": True}, "failed"),  # began with 200 and broke off
        ({"status": 429, "failed": True}, "failed"),  # the last backend's, passed on
        ({"status": 404}, "client_errors"),
        ({"status": 499, "client_left": True}, "client_left"),
        ({"client_left": True}, "client_left"),
        ({"client_left": True, "failed": True}, "client_left"),
    ],
)
def test_a_request_ends_in_one_way_and_only_answers_have_a_latency(
    end: dict[str, Any], how: str
) -> None:
    stats = fold(received(), decided(), finished(**end))

    ends = {
        "answers": stats.total.count,
        "failed": stats.failed,
        "client_errors": stats.client_errors,
        "client_left": stats.client_left,
    }
    assert ends == {name: int(name == how) for name in ends}
    assert stats.backend("b").total.count == stats.total.count
    ((_, duration),) = stats.durations.items()
    assert duration.count == stats.finished == 1


def test_first_bytes_are_those_of_answers() -> None:
    errors = fold(received(), decided(), began(503), finished(status=503, failed=True))
    assert (errors.first_byte.count, errors.backend("b").first_byte.count) == (0, 0)

    answers = fold(received(), decided(), began(200), finished(client_left=True))
    assert (answers.first_byte.count, answers.backend("b").first_byte.count) == (1, 1)


@pytest.mark.parametrize("counted", [CountMethod.EXACT, CountMethod.ESTIMATED])
def test_tokens_that_nexus_counted_stand_beside_those_reported(counted: CountMethod) -> None:
    stats = fold(received(), decided(), finished(counted=counted), received(), finished())

    assert (stats.prompt_tokens, stats.completion_tokens) == (3, 4)
    assert (stats.counted_prompt_tokens, stats.counted_completion_tokens) == (3, 4)
    backend = stats.backend("b")
    assert (backend.counted_prompt_tokens, backend.counted_completion_tokens) == (3, 4)


def dropped(stage: str, zone: PrivacyZone = PrivacyZone.OPEN) -> Considered:
    return Considered(
        backend="b",
        zone=zone,
        tier=None,
        health=HealthStatus.HEALTHY,
        priority=1,
        position=None,
        dropped_by=stage,
        why="for a reason",
    )


def refused(*considered: Considered, **changes: Any) -> RequestFinished:
    values = {"backend": None, "backend_type": None, "status": 503, "failed": True}
    return finished(considered=considered, **{**values, **changes})


CUT = ZoneToggled(at=1, zone=PrivacyZone.OPEN, enabled=False, ended=0)
REOPENED = ZoneToggled(at=1, zone=PrivacyZone.OPEN, enabled=True, ended=0)


@pytest.mark.parametrize(
    ("events", "by_cut", "for_privacy"),
    [
        ((CUT, refused(dropped("enabled"))), 1, 0),
        ((CUT, refused(dropped("zone"), dropped("enabled"))), 1, 0),
        ((CUT, refused(dropped("enabled", PrivacyZone.RESTRICTED))), 0, 0),  # switched off itself
        ((refused(dropped("enabled")),), 0, 0),
        ((CUT, REOPENED, refused(dropped("enabled"))), 0, 0),
        ((refused(dropped("tier"), dropped("zone")),), 0, 1),
        ((refused(dropped("zone"), status=404, failed=False),), 0, 0),
        ((CUT, finished(considered=(dropped("enabled"),))), 0, 0),
    ],
)
def test_what_a_cut_and_what_the_privacy_rule_refused_are_told_apart(
    events: tuple[NexusEvent, ...], by_cut: int, for_privacy: int
) -> None:
    stats = fold(received(), *events)

    assert (stats.refused_by_cut, stats.refused_for_privacy) == (by_cut, for_privacy)
    assert stats.turned_away == 0
