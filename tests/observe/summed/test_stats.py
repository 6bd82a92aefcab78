"""Statistics of several processes: the sum is what one process had counted of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from nexus_core.observe.events import NexusEvent
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import stats_as_json
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.types import is_list, is_object
from tests.observe.test_stats_json import EVENTS, fold


def elsewhere(event: NexusEvent) -> NexusEvent:
    """The same event of another process: its requests are others."""
    changed: NexusEvent = replace(event, request_id=f"b-{getattr(event, 'request_id', '')}")
    return changed


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    if is_object(value):
        for name, one in value.items():
            yield from leaves(one, f"{path}.{name}")
    elif is_list(value) and value and is_list(value[0]):  # pairs, in the order they came
        for one in value:
            yield from leaves(one[-1], f"{path}.{one[:-1]}")
    else:
        yield path, value


def told(stats: Stats) -> dict[str, object]:
    return dict(leaves(stats_as_json(stats)))


@given(EVENTS, EVENTS)
def test_the_sum_is_what_one_process_had_counted(
    here: list[NexusEvent], there: list[NexusEvent]
) -> None:
    others = [elsewhere(event) for event in there]

    together = sum_stats([fold(here), fold(others)])

    assert told(together) == pytest.approx(told(fold([*here, *others])))


def test_the_sum_goes_on_when_a_part_does_and_not_before() -> None:
    part, other = Stats(), Stats()
    part.requests, part.total.count = 3, 0
    part.backends["a"].answers = 2
    part.total.add(100.0)
    together = sum_stats([part, other])

    part.requests += 1
    part.backends["a"].answers += 1
    part.total.add(200.0)

    assert (together.requests, together.backends["a"].answers) == (3, 2)
    assert together.total.count == 1
    assert sum_stats([part, other]).total.count == 2


def test_nothing_together_is_nothing() -> None:
    assert told(sum_stats([])) == told(Stats())
