"""One table of facts: every reader's keys, and that each of them can be read."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from nexus_core.observe.event_json import event_as_json, read_event
from nexus_core.observe.events import (
    Attempt,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    TokenUsage,
)
from nexus_core.observe.facts import (
    DETAIL,
    EXPORT,
    LEDGER,
    LISTED,
    LOG,
    SCREEN_LIST,
    TEXT_LIST,
    Fact,
    Facts,
    reader,
)
from nexus_core.observe.origin.origin import NO_ORIGIN, Origin
from nexus_core.observe.phases import Phase, Reached, event_of, finished, record_of, take
from nexus_core.observe.record import RequestRecord
from nexus_core.types import Cost, CountMethod, RouteReason
from tests.observe.happened import answered, received

RECEIVED = received(
    "r1", model="fast", is_streaming=True, client="laptop", headers=(("Host", "x"),), body_bytes=7
)
FINISHED = answered(
    "r1",
    reason=RouteReason.BACKEND_FAILOVER,
    model="gpt-4o",
    total_ms=12.3456,
    first_byte_ms=10.0,
    overhead_ms=0.25,
    usage=TokenUsage(prompt_tokens=3, completion_tokens=4, cached_tokens=1),
    counted=CountMethod.REPORTED,
    cost=Cost(2_900_000, "config"),
    attempts=(Attempt(backend="a", error="answered 503", status=503, elapsed_ms=1.234),),
    headers=(("X-Nexus-Backend", "b"),),
)


def over(event: RequestFinished = FINISHED) -> RequestRecord:
    record = record_of(RECEIVED)
    take(record, event)
    return record


LIVE = record_of(RECEIVED)
OVER = over()
REFUSED = record_of(
    RequestRefused(at=1.0, request_id="r1", path="/v1/x", status=401, code="no_key")
)


@pytest.mark.parametrize("facts", [LOG, LEDGER])
def test_every_fact_of_the_log_and_the_ledger_is_read_of_a_record(facts: Facts) -> None:
    names = [fact.name for _, fact in facts]
    nothing = over(replace(FINISHED, usage=None, cost=None))

    values = dict(zip(names, reader(facts)(OVER), strict=True))

    assert values == {fact.name: fact.of(OVER) for _, fact in facts}
    assert reader(facts)(nothing) == tuple(fact.of(nothing) for _, fact in facts)
    assert (values["asked_model"], values["served_model"]) == ("fast", "gpt-4o")
    assert (values["backend"], values["status"], values["total_ms"]) == ("b", 200, 12.3456)


@pytest.mark.parametrize("request_", [LIVE, OVER, REFUSED], ids=["live", "over", "refused"])
@pytest.mark.parametrize("facts", [LISTED, DETAIL, EXPORT, TEXT_LIST, SCREEN_LIST])
def test_every_shown_fact_is_read_of_a_request_however_far_it_is(
    request_: RequestRecord, facts: Facts
) -> None:
    values = {fact.name: fact.of(request_) for _, fact in facts}

    assert len(values) == len(facts)
    if "cost_usd" in values:
        assert values["cost_usd"] == (Decimal("0.0029") if request_ is OVER else None)
        assert values.get("is_unpriced", False) is False


def test_nothing_is_asked_of_a_call_that_was_refused() -> None:
    told = {key: fact.of(REFUSED) for key, fact in (*LISTED, *DETAIL)}

    assert (told["status"], told["error"], told["path"]) == (401, "no_key", "/v1/x")
    assert (told["error_code"], told["api"]) == ("no_key", "x")
    for name in ("model", "endpoint", "is_streaming", "client", "body_bytes", "replay_of"):
        assert told[name] is None


def test_an_export_has_no_key_that_the_api_does_not_have_for_the_same_fact() -> None:
    api = dict((*LISTED, *DETAIL))

    assert {key: api.get(key) for key, _ in EXPORT} == dict(EXPORT)


def test_a_request_is_listed_by_when_it_came_and_in_the_ledger_by_when_it_ended() -> None:
    at = {key: fact.of(OVER) for key, fact in LEDGER}["at"]

    assert (at, dict(LISTED)["at"].of(OVER)) == (2.0, 1.0)


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
    failed = tuple(Attempt(backend=name, error="", status=500, elapsed_ms=1) for name in attempts)

    record = over(replace(FINISHED, attempts=failed, backend=backend))

    assert record.tried == tried
    assert record.served_model == (None if backend is None else "gpt-4o")


def test_the_end_of_a_request_is_read_back_from_json() -> None:
    told = json.loads(json.dumps(event_as_json(finished(OVER))))

    assert read_event(told) == FINISHED == finished(OVER)


def test_a_path_through_what_is_not_known_to_be_there_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        reader((("zone", Fact("zone", path="zone.value")),))


def test_each_key_is_explained_where_it_is_told() -> None:
    text = (Path(__file__).parents[2] / "docs/requests.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    places = {
        key: where.strip()
        for names, where in rows
        for key in names.replace("`", "").replace(",", " ").split()
    }
    listed, detail, export = ({key for key, _ in facts} for facts in (LISTED, DETAIL, EXPORT))
    told = {
        "all": listed & export,
        "API": listed - export,
        "detail, export": detail & export,
        "detail": detail - export | {"has_body"},
    }

    assert {
        where: {key for key, place in places.items() if place == where} for where in told
    } == told


# Who asked ----------------------------------------------------------------------------------------

_FROM_CLAUDE = replace(
    RECEIVED,
    headers=(
        ("user-agent", "claude-cli/2.1.197 (external, cli)"),
        ("x-claude-code-session-id", "3f2a"),
        ("x-claude-code-agent-id", "a71c"),
    ),
)


@pytest.mark.parametrize("facts", [LISTED, EXPORT, LEDGER])
def test_program_session_and_subagent_are_facts_of_a_request(facts: Facts) -> None:
    record = record_of(_FROM_CLAUDE)  # as an older Nexus tells it: by its headers

    told = {key: fact.of(record) for key, fact in facts}

    assert (told["agent"], told["session"], told["subagent"]) == ("claude-code", "3f2a", "a71c")


def test_an_event_tells_who_asked_and_is_read_back() -> None:
    told = replace(RECEIVED, agent="codex", session="0199", subagent="77aa")

    event = read_event(json.loads(json.dumps(event_as_json(told))))

    assert event == told
    assert isinstance(event, RequestReceived)
    assert record_of(event).origin == Origin("codex", "0199", "77aa")
    assert event_of(Reached(Phase.RECEIVED, record_of(event))) == told


def test_a_call_that_was_refused_comes_from_nobody_that_is_known() -> None:
    assert REFUSED.origin == NO_ORIGIN
