"""One table of facts: every reader's keys, and that each of them can be read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from decimal import Decimal

import pytest

from nexus_core.catalog import BackendType
from nexus_core.observe.event_json import event_as_json, read_event
from nexus_core.observe.events import (
    Attempt,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    TokenUsage,
)
from nexus_core.observe.outcome import (
    DETAIL,
    EXPORT,
    LEDGER,
    LISTED,
    LOG,
    SCREEN_LIST,
    TEXT_LIST,
    Fact,
    Facts,
    RequestOutcome,
    reader,
)
from nexus_core.observe.requests import RecentRequest
from nexus_core.types import Cost, CountMethod, PrivacyZone, RouteReason

RECEIVED = RequestReceived(
    at=1.0,
    request_id="r1",
    endpoint="/v1/chat/completions",
    model="fast",
    is_streaming=True,
    client="laptop",
    headers=(("Host", "x"),),
    body_bytes=7,
)
FINISHED = RequestFinished(
    at=2.0,
    request_id="r1",
    backend="b",
    backend_type=BackendType.OPENAI,
    zone=PrivacyZone.OPEN,
    reason=RouteReason.BACKEND_FAILOVER,
    model="gpt-4o",
    status=200,
    failed=False,
    client_left=False,
    error=None,
    total_ms=12.3456,
    first_byte_ms=10.0,
    overhead_ms=0.25,
    usage=TokenUsage(prompt_tokens=3, completion_tokens=4, cached_tokens=1),
    counted=CountMethod.REPORTED,
    cost=Cost(2_900_000, "config"),
    attempts=(Attempt(backend="a", error="answered 503", status=503, elapsed_ms=1.234),),
    considered=(),
    headers=(("X-Nexus-Backend", "b"),),
)
OUTCOME = RequestOutcome.of(FINISHED, RECEIVED)

LIVE = RecentRequest("r1", 1.0, RECEIVED)
OVER = RecentRequest("r1", 1.0, RECEIVED, outcome=OUTCOME)
REFUSED = RecentRequest(
    "r1",
    1.0,
    refused=RequestRefused(at=1.0, request_id="r1", path="/v1/x", status=401, code="no_key"),
)


@pytest.mark.parametrize("facts", [LOG, LEDGER])
def test_every_fact_of_the_log_and_the_ledger_is_read_of_an_outcome(facts: Facts) -> None:
    names = [fact.name for _, fact in facts]
    nothing = replace(OUTCOME, usage=None, cost=None)

    values = dict(zip(names, reader(facts)(OUTCOME), strict=True))

    assert values == {fact.name: fact.of(OUTCOME) for _, fact in facts}
    assert reader(facts)(nothing) == tuple(fact.of(nothing) for _, fact in facts)
    assert (values["asked_model"], values["served_model"]) == ("fast", "gpt-4o")
    assert (values["backend"], values["status"], values["total_ms"]) == ("b", 200, 12.3456)


@pytest.mark.parametrize("request_", [LIVE, OVER, REFUSED], ids=["live", "over", "refused"])
@pytest.mark.parametrize("facts", [LISTED, DETAIL, EXPORT, TEXT_LIST, SCREEN_LIST])
def test_every_shown_fact_is_read_of_a_request_however_far_it_is(
    request_: RecentRequest, facts: Facts
) -> None:
    values = {fact.name: request_.value(fact) for _, fact in facts}

    assert len(values) == len(facts)
    if "cost_usd" in values:
        assert values["cost_usd"] == (Decimal("0.0029") if request_ is OVER else None)
        assert values.get("is_unpriced", False) is False


def test_a_fact_that_is_known_early_does_not_change_its_place_at_the_end() -> None:
    for _, fact in (*LISTED, *DETAIL):
        if fact.name in {one.name for one in fields(RequestFinished)} - {"at"}:
            assert OVER.value(fact) == fact.of(OUTCOME), fact.name


def test_the_plain_list_shows_what_the_api_tells() -> None:
    combined = {"tokens"}  # of prompt and completion

    assert {key for key, _ in TEXT_LIST} - combined <= {key for key, _ in LISTED}
    assert all(fact.title for _, fact in (*TEXT_LIST, *SCREEN_LIST))


@pytest.mark.parametrize(
    ("attempts", "backend", "tried"),
    [((), None, 0), ((), "b", 1), (("a",), "b", 2), (("a", "b"), "b", 2), (("a",), None, 1)],
)
def test_backends_tried_are_those_that_failed_and_the_one_that_did_not(
    attempts: tuple[str, ...], backend: str | None, tried: int
) -> None:
    values = {one.name: getattr(FINISHED, one.name) for one in fields(RequestFinished)}
    failed = tuple(Attempt(backend=name, error="", status=500, elapsed_ms=1) for name in attempts)

    outcome = RequestOutcome(
        **{**values, "attempts": failed, "backend": backend}, received=RECEIVED
    )

    assert outcome.tried == tried
    assert outcome.served_model == (None if backend is None else "gpt-4o")


def test_an_outcome_is_written_as_the_event_that_says_that_it_ended() -> None:
    told = json.loads(json.dumps(event_as_json(OUTCOME)))

    assert told == json.loads(json.dumps(event_as_json(FINISHED)))
    assert read_event(told) == FINISHED


def test_a_path_through_what_is_not_known_to_be_there_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        reader((("zone", Fact("zone", path="zone.value")),))
