"""Stats elsewhere: they count on as if they had seen every event."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.dialects.inbound import INBOUND
from nexus_core.observe.event_json import UnreadableError
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    TokenUsage,
)
from nexus_core.observe.operation_stats import BackendStats
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import read_stats, set_counters, stats_as_json
from nexus_core.types import Cost, PrivacyZone, RouteReason

IDS = st.sampled_from(["r1", "r2", "r3", "r4"])
NAMES = st.sampled_from(["a", "b"])
MODELS = st.sampled_from(["m", "n"])
MS = st.floats(0, 400_000)
STATUSES = st.sampled_from([200, 404, 429, 499, 502, 504, 777])
TOKENS = st.integers(0, 100_000)
COSTS = st.builds(Cost, nano_usd=st.integers(0, 10**12), source=st.just("config"))

EVENTS: st.SearchStrategy[list[NexusEvent]] = st.lists(
    st.one_of(
        st.builds(
            RequestReceived,
            request_id=IDS,
            endpoint=st.sampled_from([*INBOUND]),
            model=MODELS,
            headers=st.just(()),
        ),
        st.builds(
            RouteDecided,
            request_id=IDS,
            backend=NAMES,
            backend_type=st.sampled_from([BackendType.VLLM, BackendType.OPENAI]),
            model=MODELS,
            reason=st.sampled_from(RouteReason),
            attempt=st.integers(1, 3),
            resolved=st.just(()),
            considered=st.just(()),
            zone=st.sampled_from(PrivacyZone),
        ),
        st.builds(
            AttemptFailed,
            request_id=IDS,
            attempt=st.builds(Attempt, backend=NAMES, status=st.none() | STATUSES, elapsed_ms=MS),
        ),
        st.builds(
            FirstByteReceived,
            request_id=IDS,
            backend=NAMES,
            status=STATUSES,
            first_byte_ms=MS,
            headers=st.just(()),
        ),
        st.builds(
            RequestFinished,
            request_id=IDS,
            backend=st.none() | NAMES,
            backend_type=st.none() | st.sampled_from([BackendType.VLLM, BackendType.OPENAI]),
            status=STATUSES,
            total_ms=MS,
            first_byte_ms=st.none() | MS,
            overhead_ms=st.none() | MS,
            usage=st.none() | st.builds(TokenUsage, prompt_tokens=TOKENS, completion_tokens=TOKENS),
            cost=st.none() | COSTS,
            saved=st.none() | COSTS,
            is_unpriced=st.booleans(),
            attempts=st.just(()),
            considered=st.just(()),
            headers=st.just(()),
        ),
        st.builds(RequestRefused, request_id=IDS, status=STATUSES),
    ),
    max_size=30,
)


def fold(events: list[NexusEvent], stats: Stats | None = None) -> Stats:
    stats = stats or Stats()
    for event in events:
        stats.apply(event)
    return stats


def through_json(stats: Stats) -> Any:
    return json.loads(json.dumps(stats_as_json(stats), allow_nan=False))


@given(before=EVENTS, after=EVENTS)
def test_stats_that_were_read_count_on_like_those_that_saw_everything(
    before: list[NexusEvent], after: list[NexusEvent]
) -> None:
    read = read_stats(through_json(fold(before)))

    assert stats_as_json(fold(after, read)) == stats_as_json(fold(before + after))


@given(EVENTS)
def test_percentiles_are_the_same(events: list[NexusEvent]) -> None:
    stats = fold(events)

    read = read_stats(through_json(stats))

    for share in (0.5, 0.99):
        assert read.total.percentile(share) == stats.total.percentile(share)
        assert read.backend("a").total.percentile(share) == stats.backend("a").total.percentile(
            share
        )


def test_nothing_that_is_counted_is_left_out() -> None:
    told = stats_as_json(Stats())

    assert {*Stats.__slots__} == told["counters"].keys() | (told.keys() - {"counters"})


def test_nothing_that_is_counted_of_a_backend_is_left_out() -> None:
    stats = Stats()
    stats.backend("a")

    told = stats_as_json(stats)["backends"]["a"]

    assert told.keys() == {field.name for field in fields(BackendStats)}


def test_plain_numbers_are_taken_over_and_unknown_ones_left_out() -> None:
    stats = Stats()

    set_counters(stats, {"requests": 7, "of a newer version": 3})

    assert stats.counters()["requests"] == 7
    assert not hasattr(stats, "of a newer version")


GOOD = stats_as_json(Stats())
WRONG: list[object] = [
    None,
    {},
    {**GOOD, "counters": {"requests": "7"}},
    {**GOOD, "counters": {"requests": True}},
    {**GOOD, "reasons": {"because": 1}},
    {**GOOD, "total": {"buckets": {"200": 1}, "sum_ms": 1}},
    {**GOOD, "total": {"buckets": {"-1": 1}, "sum_ms": 1}},
    {**GOOD, "total": {"buckets": {"1": -1}, "sum_ms": 1}},
    {**GOOD, "total": {"buckets": {"1": "1"}, "sum_ms": 1}},
    {**GOOD, "total": []},
    {**GOOD, "backends": {"a": {}}},
    {**GOOD, "durations": [[7, 200, GOOD["total"]]]},
    {**GOOD, "operations": [[["/v1/completions", "a", "vllm"], {}]]},
    {**GOOD, "under_way": {"r": ["/v1/completions", True, 5]}},
]


@pytest.mark.parametrize("told", WRONG)
def test_what_is_no_stats_is_refused(told: object) -> None:
    with pytest.raises(UnreadableError):
        read_stats(told)
