"""Requests per second."""

from __future__ import annotations

from nexus_tui.view.rates import RateSeries


def test_the_rate_counts_full_seconds_only() -> None:
    rate = RateSeries()
    for at in (100.1, 100.9, 101.5, 102.0):
        rate.add(at)

    assert rate.values(102.5)[-2:] == [2, 1]
    assert rate.values(103.0)[-1] == 1
    assert rate.per_second(103.0) == 4 / 5


def test_the_rate_forgets_after_a_minute_and_ignores_what_is_older() -> None:
    rate = RateSeries()
    rate.add(100)
    rate.add(1000)
    rate.add(100)

    assert sum(rate.values(1001)) == 1
    assert sum(rate.values(1100)) == 0


def test_several_are_counted_in_their_own_seconds() -> None:
    rate = RateSeries()
    rate.add_all([100.2, 100.7])
    rate.add_all([101.9, 102.1, 101.2])
    rate.add_all([])

    assert rate.values(103.0)[-3:] == [2, 2, 1]
