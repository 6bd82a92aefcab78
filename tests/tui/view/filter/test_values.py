from __future__ import annotations

import time

import pytest

from nexus_tui.view.filter.requests import parse_filter
from tests.tui.view.filter.rows import NOW, Row

FIRST = Row(first_byte_ms=1240.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("first:1.24s", True),  # at least
        ("first:1.25s", False),
        ("first:1240ms", True),
        ("first:1", True),  # seconds
        ("first:2", False),
        ("first:>1240ms", False),
        ("first:>=1240ms", True),
        ("first:<1240ms", False),
        ("first:<=1240ms", True),
        ("first:<1.5s", True),
        ("first:=1.2s", True),  # as far as it is written
        ("first:=1.24s", True),
        ("first:=1.3s", False),
        ("first:!=1.2s", False),
        ("first:!=1.3s", True),
        ("first:>0.02m", True),
        ("first:<1m30s", True),
        ("first:<=1s240ms", True),
        ("first:<0.001h", True),
        ("first:<500ms,>1s", True),
        ("first:<500ms,>2s", False),
        ("first:=1s,2s", True),
    ],
)
def test_numbers_are_compared(text: str, expected: bool) -> None:
    wanted = parse_filter(text)

    assert wanted.problem is None
    assert wanted.matches(FIRST) is expected


@pytest.mark.parametrize("text", ["first:<1s", "first:>1s", "first:1s", "first:=1s", "cost:0"])
def test_what_is_not_known_is_in_no_comparison(text: str) -> None:
    assert not parse_filter(text).matches(Row(first_byte_ms=None))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tokens:500", True),
        ("tokens:>500", False),
        ("tokens:=500", True),
        ("tokens:=0.5k", True),
        ("tokens:<1k", True),
        ("tokens:>0.4k", True),
        ("in:400", True),
        ("out:<101", True),
        ("prompt:>400", False),
        ("tries:1", True),
        ("tries:2", False),
    ],
)
def test_counts_may_be_thousands(text: str, expected: bool) -> None:
    assert parse_filter(text).matches(Row()) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cost:0.0004", True),
        ("cost:>0.0004", False),
        ("cost:$0.0004", True),
        ("cost:>$0.0003", True),
        ("cost:<1c", True),
        ("cost:.0004", True),
        ("cost:=0.0004", True),
        ("cost:unpriced", False),
    ],
)
def test_dollars_and_cents(text: str, expected: bool) -> None:
    from decimal import Decimal

    assert parse_filter(text).matches(Row(cost_usd=Decimal("0.0004"))) is expected


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("status:503", {503}),
        ("status:5", {500, 503}),
        ("status:50x", {500, 503}),
        ("status:4xx,5xx", {404, 429, 500, 503}),
        ("status:>=429", {429, 500, 503}),
        ("status:>4xx", {500, 503}),
        ("status:<=4xx", {200, 404, 429}),
        ("status:<404", {200}),
        ("status:!=200", {404, 429, 500, 503, None}),
        ("status:!=2xx,404", {429, 500, 503, None}),
        ("!status:200", {404, 429, 500, 503, None}),
        ("4xx", {404, 429}),
        ("4xx|5xx", {404, 429, 500, 503}),
    ],
)
def test_a_status_is_a_code(text: str, matching: set[int | None]) -> None:
    wanted = parse_filter(text)
    seen = (200, 404, 429, 500, 503, None)

    assert {status for status in seen if wanted.matches(Row(status=status))} == matching


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("status:abc", "status: must be a number or class"),
        ("status:5xxx", "status: must be a number or class"),
        ("zone:opn", 'zone: must be restricted or open; did you mean "open"?'),
        ("reason:failovr", 'did you mean "backend-failover"?'),
        ("slow:soon", "slow: must be a time"),
        ("slow:2x", "slow: must be a time"),
        ("slow:1s1", "slow: must be a time"),
        ("cost:much", "cost: must be dollars"),
        ("tokens:many", "tokens: must be a number"),
        ("tokens:>1,000", "tokens: a comma means or"),
        ("tokens:1,000", "tokens: a comma means or"),
        ("last:5", "last: must be a time with its unit"),
        ("last:soon", "last: must be a time with its unit"),
        ("last:>5m", "last: is written without >"),
        ("backend:", "backend: needs a value"),
        ("backend:>x", "backend: can't be compared by >"),
        ("id:", "id: needs a value"),
    ],
)
@pytest.mark.parametrize("sign", ["", "!"])
def test_a_value_that_makes_no_sense_is_told(sign: str, text: str, told: str) -> None:
    found = parse_filter(sign + text)

    assert told in (found.problem or "")
    assert not found.matches(Row())


@pytest.mark.parametrize(
    ("text", "ages"),
    [
        ("last:1m", {0, 59, 60}),
        ("last:60s", {0, 59, 60}),
        ("since:2h", {0, 59, 60, 61, 3600, 7200}),
        ("until:1m", {61, 3600, 7200, 86_000}),
        ("last:2h until:61s", {3600, 7200}),
        ("!last:2h", {86_000}),
    ],
)
def test_ages_are_measured_by_the_clock_that_is_passed(text: str, ages: set[int]) -> None:
    wanted = parse_filter(text, now=lambda: NOW)
    seen = (0, 59, 60, 61, 3600, 7200, 86_000)

    assert {age for age in seen if wanted.matches(Row(at=NOW - age))} == ages


def test_a_time_of_day_is_the_last_one_that_there_was() -> None:
    noon = time.mktime((2026, 11, 30, 12, 0, 0, 0, 0, -1))

    def begins(text: str) -> float:
        wanted = parse_filter(text, now=lambda: noon)
        assert wanted.problem is None
        assert wanted.ages == ()
        minutes = (noon - 60 * ago for ago in range(3 * 24 * 60))
        return min(at for at in minutes if wanted.matches(Row(at=at)))

    assert begins("last:11:59") == noon - 60
    assert begins("last:12:00") == noon
    assert begins("since:22:19:00") == noon - (13 * 60 + 41) * 60  # of yesterday
    assert begins("since:2026-11-29") == noon - 36 * 3600
    assert begins("since:2026-11-29T11:00") == noon - 25 * 3600
