"""What was counted arrives elsewhere as it was."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given

from nexus_core.observe.event_json import UnreadableError
from nexus_core.observe.events import NexusEvent
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import stats_as_json
from nexus_core.observe.windows.counted import count_until_now, since
from nexus_core.observe.windows.counted_json import counted_as_json, read_counted
from tests.observe.happened import received
from tests.observe.test_stats import decided, finished
from tests.observe.test_stats_json import EVENTS


def counts(stats: Stats, events: list[NexusEvent]) -> Stats:
    for event in events:
        stats.apply(event)
    return stats


@given(EVENTS, EVENTS)
def test_an_attached_dashboard_subtracts_the_same(
    before: list[NexusEvent], after: list[NexusEvent]
) -> None:
    stats = counts(Stats(), before)
    counted = count_until_now(stats)
    told = read_counted(json.loads(json.dumps(counted_as_json(counted))))

    counts(stats, after)

    assert told == counted
    assert stats_as_json(since(stats, told)) == stats_as_json(since(stats, counted))


def answered() -> dict[str, Any]:
    stats = counts(Stats(), [received(), decided(), finished()])
    return json.loads(json.dumps(counted_as_json(count_until_now(stats))))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), []),
        (("counters",), None),
        (("counters", "requests"), -1),
        (("counters", "requests"), True),
        (("reasons",), {"because": 1}),
        (("statuses",), {"ok": 1}),
        (("histograms", "total"), {"buckets": {"9999": 1}, "sum_ms": 1}),
        (("histograms", "total", "sum_ms"), None),
        (("histograms",), {}),
        (("backends", "b"), 7),
        (("backends", "b", "counts"), []),
        (("backends", "b", "total", "buckets"), [1]),
    ],
)
def test_what_makes_no_sense_is_unreadable(path: tuple[str, ...], value: object) -> None:
    told: Any = copy.deepcopy(answered())
    *heads, last = ("told", *path)
    holder = whole = {"told": told}
    for head in heads:
        holder = holder[head]
    holder[last] = value

    with pytest.raises(UnreadableError, match=r"^windows: "):
        read_counted(whole["told"])


def test_numbers_that_another_version_does_not_count_are_zero() -> None:
    told = answered()
    del told["backends"]["b"]["counts"]["unpriced"]
    told["backends"]["b"]["counts"]["colour"] = 5

    assert read_counted(told) == read_counted(answered())
