"""Sums of several replicas: made anew only when one changed; who went is counted on."""

from __future__ import annotations

from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import count_until_now
from nexus_core.observe.windows.window import Window
from nexus_tui.sources.fleet.numbers import FleetNumbers, Past


def counted(requests: int) -> Stats:
    stats = Stats()
    stats.requests = requests
    stats.in_flight = 1
    return stats


def test_the_sum_is_the_same_object_until_a_part_changes() -> None:
    numbers, parts = FleetNumbers(), [counted(2), counted(3)]

    first = numbers.stats(parts)
    assert numbers.stats(parts) is first
    parts[1].requests += 1

    assert numbers.stats(parts).requests == 6


def test_another_object_with_the_same_numbers_is_another_part() -> None:
    numbers = FleetNumbers()

    first = numbers.stats([counted(2)])

    assert numbers.stats([counted(2)]) is not first


def test_a_window_without_anything_before_it_has_nothing_to_take_away() -> None:
    numbers, one = FleetNumbers(), count_until_now(counted(4))

    assert numbers.counted(Window.MINUTE, [None, None]) is None
    together = numbers.counted(Window.MINUTE, [one, None])
    assert together is not None
    assert together.counters["requests"] == 4
    assert numbers.counted(Window.MINUTE, [one, None]) is together


def test_who_went_counts_since_the_start_and_in_a_window_for_its_length() -> None:
    stats = counted(10)
    before = count_until_now(counted(4))

    past = Past(stats, {Window.MINUTE: before, Window.HOUR: None}, at=100.0)

    assert (past.stats.requests, past.stats.in_flight) == (10, 0)
    assert past.counted_before(Window.MINUTE, 150.0) is before
    later = past.counted_before(Window.MINUTE, 161.0)
    assert later is not None
    assert later.counters["requests"] == 10
    assert past.counted_before(Window.HOUR, 161.0) is None
    assert past.counted_before(Window.START, 1e9) is None
