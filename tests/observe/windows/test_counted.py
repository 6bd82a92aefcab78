"""What was counted after a time is what there is now, less what there was then."""

from __future__ import annotations

from nexus_core.observe.events import RequestRefused, TokenUsage
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import count_until_now, since
from nexus_core.types import CountMethod, RouteReason
from tests.observe.happened import received
from tests.observe.test_stats import ATTEMPT, began, decided, failed, finished


def answer(stats: Stats, **changes: object) -> None:
    for event in (received(), decided(), began(), finished(**changes)):
        stats.apply(event)


def test_only_what_came_after_is_among_the_numbers() -> None:
    stats = Stats()
    answer(stats, total_ms=5000, status=502, failed=True)
    for _ in range(9):
        answer(stats, total_ms=5000)
    counted = count_until_now(stats)
    answer(stats, total_ms=100)
    stats.apply(received(request_id="running"))

    after = since(stats, counted)

    assert (after.requests, after.finished, after.failed, after.in_flight) == (2, 1, 0, 1)
    assert (after.total.count, after.total.percentile(0.99)) == (1, stats.total.percentile(0.05))
    assert after.reasons == {RouteReason.BACKEND_FAILOVER: 1}
    assert after.statuses == {200: 1}
    backend = after.backend("b")
    assert (backend.answers, backend.failures, backend.total.count) == (1, 0, 1)
    assert (backend.prompt_tokens, backend.first_byte.count) == (3, 1)


def test_every_kind_of_number_is_of_the_window() -> None:
    stats = Stats()
    refusal = RequestRefused(at=1, request_id="x", path="/v1/models", status=401, code="no_key")
    stats.apply(refusal)
    counted = count_until_now(stats)
    stats.apply(refusal)
    usage = TokenUsage(prompt_tokens=10, completion_tokens=20)
    answer(stats, usage=usage, counted=CountMethod.EXACT)
    nobody = finished(backend=None, backend_type=None, status=503, failed=True, attempts=(ATTEMPT,))
    for event in (received(), decided(), failed(), nobody):
        stats.apply(event)

    after = since(stats, counted)

    assert (after.turned_away, after.refusals) == (1, {"no_key": 1})
    assert (after.counted_prompt_tokens, after.counted_completion_tokens) == (10, 20)
    assert (after.backend("b").counted_prompt_tokens, after.failed) == (10, 1)
    assert after.backend("a").errors == {"503": 1}


def test_a_first_byte_alone_is_a_change() -> None:
    stats = Stats()
    for event in (received(), decided()):
        stats.apply(event)
    before = count_until_now(stats)
    stats.apply(began())

    assert count_until_now(stats, before) is not before
    assert since(stats, before).first_byte.count == 1


def test_what_has_not_changed_is_kept_once() -> None:
    stats = Stats()
    answer(stats)
    first = count_until_now(stats)

    assert count_until_now(stats, first) is first
    for event in (received(), decided(backend="c"), finished(backend="c")):
        stats.apply(event)
    second = count_until_now(stats, first)
    assert second is not first
    assert second.backends["b"] is first.backends["b"]


def test_numbers_older_than_the_beginning_are_never_below_zero() -> None:
    stats, newer = Stats(), Stats()
    answer(stats)
    for _ in range(3):
        answer(newer)

    after = since(stats, count_until_now(newer))

    assert (after.requests, after.total.count, after.total.sum_ms) == (0, 0, 0.0)
    assert (after.reasons, after.backend("b").answers) == ({}, 0)
