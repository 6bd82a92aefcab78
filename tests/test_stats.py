from typing import Any

from nexus_core.events import (
    Attempt,
    AttemptFailed,
    FirstByteReceived,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    TokenUsage,
)
from nexus_core.stats import Stats
from nexus_core.types import BackendType, Endpoint, PrivacyZone, RouteReason

ATTEMPT = Attempt(backend="a", error="answered 503", status=503, elapsed_ms=3)


def received() -> RequestReceived:
    return RequestReceived(
        at=1,
        request_id="r",
        endpoint=Endpoint.CHAT_COMPLETIONS,
        model="m",
        is_streaming=False,
        client=None,
        headers=(),
        body_bytes=10,
    )


def decided(attempt: int = 1) -> RouteDecided:
    return RouteDecided(
        at=1,
        request_id="r",
        backend="b",
        backend_type=BackendType.OPENAI,
        zone=PrivacyZone.OPEN,
        model="m",
        reason=RouteReason.CAPABILITY_MATCH,
        attempt=attempt,
        resolved=("m",),
        considered=(),
    )


def began() -> FirstByteReceived:
    return FirstByteReceived(
        at=1, request_id="r", backend="b", status=200, first_byte_ms=5, headers=()
    )


def finished(**changes: Any) -> RequestFinished:
    values: dict[str, Any] = {
        "at": 2,
        "request_id": "r",
        "backend": "b",
        "backend_type": BackendType.OPENAI,
        "zone": PrivacyZone.OPEN,
        "reason": RouteReason.BACKEND_FAILOVER,
        "model": "m",
        "status": 200,
        "failed": False,
        "client_left": False,
        "error": None,
        "total_ms": 9,
        "first_byte_ms": 5,
        "overhead_ms": 1,
        "usage": TokenUsage(prompt_tokens=3, completion_tokens=4),
        "attempts": (),
        "considered": (),
        "headers": (),
    }
    return RequestFinished(**{**values, **changes})


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


def test_a_stream_that_breaks_off_is_one_failure_of_its_backend() -> None:
    stats = fold(received(), decided(), began(), finished(failed=True))

    assert stats.failed == 1
    assert stats.backend("b").failures == 1


def test_an_attempt_that_failed_is_not_counted_again_at_the_end() -> None:
    stats = fold(
        received(),
        decided(),
        AttemptFailed(at=1, request_id="r", attempt=ATTEMPT),
        finished(backend="a", failed=True, status=502, first_byte_ms=None, usage=None),
    )

    assert stats.backend("a").failures == 1


def test_a_refused_call_counts_as_a_status_and_not_as_a_request() -> None:
    stats = fold(
        RequestRefused(at=1, request_id="r", path="/v1/chat/completions", status=401, code="x")
    )

    assert (stats.refused, stats.requests, stats.statuses[401]) == (1, 0, 1)
