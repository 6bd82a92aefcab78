"""Values of filter terms: names, numbers with units, durations, times, and how they are compared.

A number without a sign means "at least"; `=` compares as far as the number is written out, so that
`first:=1.2s` finds what is shown as 1.2 s.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from nexus_tui.view.filter.grammar import Value
from nexus_tui.view.filter.language import Clock, Make, Test, did_you_mean

Row = TypeVar("Row")
Number = Decimal | float | int
Units = Mapping[str, Decimal]

_MS_UNITS: Units = {
    "": Decimal(1000),
    "ms": Decimal(1),
    "s": Decimal(1000),
    "m": Decimal(60_000),
    "min": Decimal(60_000),
    "h": Decimal(3_600_000),
    "d": Decimal(86_400_000),
}
_COUNT_UNITS: Units = {"": Decimal(1), "k": Decimal(1000), "m": Decimal(1_000_000)}
_MONEY_UNITS: Units = {"": Decimal(1), "$": Decimal(1), "c": Decimal("0.01")}
_PART = re.compile(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})\s*([a-z$]*)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "": operator.ge,
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
}

# Names and words ----------------------------------------------------------------------------------


def one_text(get: Callable[[Row], str | None]) -> Make[Row]:
    """A part of a text of the row; with `=` the whole of it. Small and capital letters are one."""

    def make(value: Value, _: Clock) -> Test[Row]:
        text = _text(value)
        if value.op:
            return lambda row: (get(row) or "").casefold() == text
        return lambda row: text in (get(row) or "").casefold()

    return make


def texts(get: Callable[[Row], tuple[str | None, ...]]) -> Make[Row]:
    """The same of several texts, of which one must do."""

    def make(value: Value, _: Clock) -> Test[Row]:
        text = _text(value)
        if not text:
            return lambda row: not any(get(row))
        if value.op:
            return lambda row: text in [(one or "").casefold() for one in get(row)]

        def test(row: Row) -> bool:
            for one in get(row):  # noqa: SIM110  a third of the time of any()
                if one is not None and text in one.casefold():
                    return True
            return False

        return test

    return make


def choice(get: Callable[[Row], str | None], options: tuple[str, ...], said: str) -> Make[Row]:
    """One of few words, or its beginning, or a part of it.

    Raises:
        ValueError: of the function that is made: no option is called so.
    """

    def make(value: Value, _: Clock) -> Test[Row]:
        text = _text(value) if value.text or value.op not in ("", "=") else ""
        exact = [one for one in options if one == text] if text else []
        begin = [one for one in options if one.startswith(text)] if text and not value.op else []
        parts = [one for one in options if text in one] if text and not value.op else []
        found = frozenset(exact or begin or parts)
        if not found:
            raise ValueError(f"must be {said}{did_you_mean(text, options) if text else ''}")
        return lambda row: get(row) in found

    return make


def _text(value: Value) -> str:
    if value.op not in ("", "="):
        raise ValueError(f"can't be compared by {value.op}")
    if not value.text and not value.op:
        raise ValueError('needs a value; ="" finds what has none')
    return value.text.casefold()


# Numbers ------------------------------------------------------------------------------------------


class _Written(NamedTuple):
    """A number as it was written."""

    number: Decimal
    half: Decimal  # of the last digit


def duration_ms(get: Callable[[Row], float | None], example: str) -> Make[Row]:
    """Milliseconds, written as 500ms, 2s, 1m30s; without a unit they are seconds."""
    return _number(get, _MS_UNITS, f"must be a time, such as {example}")


def count(get: Callable[[Row], int | None], example: str) -> Make[Row]:
    """A number of things, written as 500 or 2k."""
    return _number(get, _COUNT_UNITS, f"must be a number, such as {example}")


def dollars(
    get: Callable[[Row], Number | None], is_unpriced: Callable[[Row], bool] | None, example: str
) -> Make[Row]:
    """Dollars, written as 0.01, $0.01 or 1c. What has no known cost is in no comparison."""
    words = f"must be dollars, such as {example}{', or unpriced' if is_unpriced else ''}"
    make_number = _number(get, _MONEY_UNITS, words)

    def make(value: Value, clock: Clock) -> Test[Row]:
        if is_unpriced is not None and (value.op, value.text.casefold()) == ("", "unpriced"):
            return is_unpriced
        return make_number(value._replace(text=value.text.removeprefix("$")), clock)

    return make


def http_status(get: Callable[[Row], int | None]) -> Make[Row]:
    """A status, or a class such as 5xx; without a sign it must be that one, as it is a code."""

    def make(value: Value, _: Clock) -> Test[Row]:
        digits = value.text.casefold().rstrip("x")
        if len(value.text) > 3 or not re.fullmatch(r"[1-5]\d{0,2}", digits):
            raise ValueError("must be a number or class, such as 503 or 5xx")
        low, high = int(f"{digits:0<3}"), int(f"{digits:9<3}")
        match value.op:
            case "<":
                return lambda row: (get(row) or low) < low
            case "<=":
                return lambda row: (get(row) or high + 1) <= high
            case ">":
                return lambda row: (get(row) or 0) > high
            case ">=":
                return lambda row: (get(row) or 0) >= low
            case "!=":
                return lambda row: not low <= (get(row) or 0) <= high
            case _:
                return lambda row: low <= (get(row) or 0) <= high

    return make


def _number(get: Callable[[Row], Number | None], units: Units, words: str) -> Make[Row]:
    def make(value: Value, _: Clock) -> Test[Row]:
        written = _read(value.text.casefold(), units)
        if written is None:
            raise ValueError(words)
        if value.op in ("=", "!="):
            return _equals(get, written, is_wanted=value.op == "=")
        compare = _COMPARE[value.op]
        # A float compares with a Decimal exactly, and with another float in a tenth of the time.
        limit = written.number if units is _MONEY_UNITS else float(written.number)

        def test(row: Row) -> bool:
            number = get(row)
            return number is not None and compare(number, limit)

        return test

    return make


def _equals(
    get: Callable[[Row], Number | None], written: _Written, *, is_wanted: bool
) -> Test[Row]:
    low, high = written.number - written.half, written.number + written.half

    def test(row: Row) -> bool:
        number = get(row)
        return (number is not None and low <= number < high) is is_wanted

    return test


def _read(text: str, units: Units) -> _Written | None:
    """A number with its units, as 1m30s; None: it is none."""
    total, half, at = Decimal(0), Decimal(0), 0
    while found := _PART.match(text, at):
        unit = units.get(found[2])
        if unit is None or (at and not found[2]):
            return None
        total += Decimal(found[1]) * unit
        half = Decimal(5).scaleb(-1 - len(found[1].partition(".")[2])) * unit
        at = found.end()
    return _Written(total, half) if at and at == len(text) else None


# Times --------------------------------------------------------------------------------------------


def since(get: Callable[[Row], float], example: str) -> Make[Row]:
    """At or after a time: so long ago as 5m, or by the clock as 22:19."""

    def make(value: Value, clock: Clock) -> Test[Row]:
        age, at = _moment(value, clock, example)
        if at is not None:
            return lambda row: get(row) >= at
        now = clock.now
        return lambda row: get(row) >= now() - age

    return make


def until(get: Callable[[Row], float], example: str) -> Make[Row]:
    """Before such a time."""

    def make(value: Value, clock: Clock) -> Test[Row]:
        age, at = _moment(value, clock, example)
        if at is not None:
            return lambda row: get(row) < at
        now = clock.now
        return lambda row: get(row) < now() - age

    return make


def _moment(value: Value, clock: Clock, example: str) -> tuple[float, float | None]:
    """An age in seconds, or a time in seconds since the epoch."""
    text = value.text.casefold()
    if value.op:
        raise ValueError(f"is written without {value.op}, such as {example}")
    if (at := _clock_time(text, clock.now())) is not None:
        return 0.0, at
    written = _read(text, _MS_UNITS)
    if written is None or not text[-1:].isalpha():
        raise ValueError(f"must be a time with its unit, such as {example}")
    age = float(written.number) / 1000
    clock.ages.add(age)
    return age, None


def _clock_time(text: str, now: float) -> float | None:
    """The last time that the clock showed this; None: it is no time of day, and no date."""
    if found := _CLOCK.fullmatch(text):
        day = time.localtime(now)
        hour, minute, second = (int(part or 0) for part in found.groups())
        at = time.mktime((*day[:3], hour, minute, second, 0, 0, -1))
        if at <= now:
            return at
        return time.mktime((*day[:2], day[2] - 1, hour, minute, second, 0, 0, -1))
    if len(text) < 10 or text[4:5] != "-":
        return None
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        return None
