"""Meters: what a rate lets through, what it gives back, and that its waits are true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.keys.meter import MINUTE, SECOND, KeyMeter, Rate

START = 5 * MINUTE


def meter(rpm: int | None = None, tpm: int | None = None, parallel: int | None = None) -> KeyMeter:
    made = KeyMeter()
    made.configure(rpm=rpm, tpm=tpm, parallel=parallel)
    return made


def test_a_whole_minutes_limit_may_be_used_at_once_and_comes_back_evenly() -> None:
    one = meter(rpm=6)

    waits = [one.wait(0, START) for _ in range(7)]

    assert waits[:6] == [0] * 6
    assert waits[6] == 10 * SECOND
    assert one.wait(0, START + 10 * SECOND - 1) == 1
    assert one.wait(0, START + 10 * SECOND) == 0
    assert one.wait(0, START + 10 * SECOND) == 10 * SECOND


@given(
    limit=st.integers(1, 10_000_000),
    steps=st.lists(st.tuples(st.integers(0, MINUTE // 4), st.integers(0, 50)), max_size=60),
)
def test_a_wait_is_true_and_no_minute_gets_more_than_twice_the_limit(
    limit: int, steps: list[tuple[int, int]]
) -> None:
    rate, at, taken = Rate(limit), START, list[tuple[int, int]]()
    for pause, cost in steps:
        at += pause
        cost = min(cost, limit)
        wait = rate.wait(cost, at)
        if wait:
            assert rate.wait(cost, at + wait - 1) > 0
            at += wait
            assert rate.wait(cost, at) == 0
        rate.take(cost, at)
        taken.append((at, cost))
        assert sum(cost for moment, cost in taken if moment > at - MINUTE) <= 2 * limit


@given(
    limit=st.integers(1, 10_000_000),
    steps=st.lists(st.tuples(st.integers(0, MINUTE // 4), st.integers(0, 50)), max_size=60),
)
def test_whoever_has_not_to_wait_enters_and_nobody_else(
    limit: int, steps: list[tuple[int, int]]
) -> None:
    entered, taken, at = Rate(limit), Rate(limit), START
    for pause, cost in steps:
        at += pause
        may = taken.wait(cost, at) == 0
        if may:
            taken.take(cost, at)

        assert entered.enter(cost, at) is may
        assert entered.used(at) == taken.used(at)


def test_what_waits_has_taken_nothing() -> None:
    one = meter(rpm=2, tpm=100)
    assert one.wait(100, START) == 0

    assert one.wait(50, START) == 30 * SECOND

    assert one.under_way == 1
    assert one.rpm is not None
    assert one.rpm.used(START) == 1


def test_tokens_that_were_not_used_are_given_back_and_more_are_owed() -> None:
    one = meter(tpm=100)
    one.wait(80, START)
    one.leave(80, 20, START, START)
    assert one.wait(80, START) == 0

    one.leave(80, 100, START, START)

    assert one.wait(1, START) > 0
    assert one.this_minute(START) == (2, 120)


def test_what_came_back_by_itself_is_not_given_back_once_more() -> None:
    one = meter(tpm=60)
    one.wait(60, START)
    later = START + 59 * SECOND
    assert one.wait(59, later) == 0

    one.leave(60, 0, START, later)

    assert one.tpm is not None
    assert one.tpm.used(later) == 59


def test_a_debt_makes_nobody_wait_for_more_than_a_minute() -> None:
    one = meter(tpm=60)
    one.wait(1, START)

    one.leave(1, 1_000_000, START, START)

    assert one.wait(60, START) == MINUTE


def test_so_many_at_a_time_and_no_more() -> None:
    one = meter(parallel=2)
    assert [one.wait(0, START) for _ in range(3)] == [0, 0, SECOND]

    one.leave(0, 0, START, START)

    assert one.wait(0, START) == 0
    assert one.is_full


def test_another_limit_keeps_what_is_used() -> None:
    one = meter(rpm=60)
    for _ in range(60):
        one.wait(0, START)

    one.configure(rpm=120, tpm=None, parallel=None)

    assert one.wait(0, START) > 0
    one.configure(rpm=None, tpm=None, parallel=None)
    assert one.wait(0, START) == 0


@pytest.mark.parametrize("later", [MINUTE, 10 * MINUTE])
def test_a_minute_that_is_over_counts_no_more(later: int) -> None:
    one = meter()
    one.wait(0, START)

    assert one.this_minute(START + later) == (0, 0)
