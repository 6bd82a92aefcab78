"""Retry-After: the requested wait, in headers and bodies of every vendor."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime

from nexus_core.dialects.base.report import AskedWait
from nexus_core.upstream.base import Headers

_NUMBER = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")
_MOMENT = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?:(\d{1,4})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?"
    r"(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
# "Please try again in 6m0s." of OpenAI and Groq, "retry in 34.07s" of Google.
_TRY_AGAIN = re.compile(r"\b(?:try again|retry) in ((?:[0-9.]+(?:d|h|ms|m|s))+)", re.IGNORECASE)
_MAX_SECONDS = 86_400.0  # of a wait that is not asked for in so many words


def retry_after_seconds(headers: Headers, now: float) -> float | None:
    """Seconds from `now` (since the epoch), never negative; None without a header that says it.

    The forms of RFC 9110 section 10.2.3, and OpenAI's own `retry-after-ms`. Of several values the
    longest counts: a wait that is too short is one failure more.
    """
    waits = [
        wait
        for name, value in headers
        if (wait := _read_header(name, value.strip(), now)) is not None
    ]
    return max(waits, default=None)


def _read_header(name: str, value: str, now: float) -> float | None:
    if name == "retry-after-ms":
        milliseconds = _number(value)
        return None if milliseconds is None else milliseconds / 1000
    if name != "retry-after":
        return None
    seconds = _number(value)
    return _until(value, now) if seconds is None else seconds


def _until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError, TypeError):  # the second for numbers without end
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


def with_wait(headers: Headers, asked: AskedWait, now: float) -> Headers:
    """The headers of a refusal with the wait it asks for, to the fraction of a second.

    Where no header tells it: Google's RetryInfo, OpenRouter's X-RateLimit-Reset, the window of a
    limit that is used up, and last the words of the message.
    """
    if retry_after_seconds(headers, now) is not None:
        return headers
    wait = _asked_elsewhere(headers, asked, now)
    return headers if wait is None else (*headers, ("retry-after", f"{wait:.6f}"))


def rounded_up(headers: Headers, now: float) -> Headers:
    """The headers with one Retry-After, a date or whole seconds, never less than was asked."""
    wait = retry_after_seconds(headers, now)
    if wait is None:
        return headers
    given = [value.strip() for name, value in headers if name == "retry-after"]
    if len(given) == 1 and "." not in given[0]:
        stated = _read_header("retry-after", given[0], now)
        if stated is not None and stated >= wait:
            return headers
    rest = tuple(pair for pair in headers if pair[0] != "retry-after")
    return (*rest, ("retry-after", str(whole_seconds(wait))))


def whole_seconds(seconds: float) -> int:
    """Rounded up; a hair above a whole number, as floats have it, is that number."""
    return math.ceil(round(seconds, 6))


def _asked_elsewhere(headers: Headers, asked: AskedWait, now: float) -> float | None:
    delays = (duration_seconds(delay) for delay in asked.delays)
    if (wait := next((delay for delay in delays if delay is not None), None)) is not None:
        return wait
    values = {**asked.headers, **dict(headers)}
    waits = [min(wait, _MAX_SECONDS) for wait in _used_up(values, now)]
    if waits:
        return max(waits)
    found = _TRY_AGAIN.search(asked.message[:2000])
    return duration_seconds(found.group(1)) if found else None


def _used_up(values: dict[str, str], now: float) -> Iterator[float]:
    """The waits for limits of which nothing is left: `x-ratelimit-reset[-requests]`."""
    for name, left in values.items():
        prefix, remaining, what = name.partition("ratelimit-remaining")
        if not remaining or left.strip() != "0":
            continue
        reset = values.get(f"{prefix}ratelimit-reset{what}", "").strip()
        if (seconds := duration_seconds(reset)) is not None:
            yield seconds
        elif _MOMENT.fullmatch(reset):
            # In milliseconds or seconds since the epoch, else seconds from now.
            number = float(reset)
            moment = number / 1000 if number > 1e11 else number
            yield max(0.0, moment - now) if moment > 1e9 else moment


def duration_seconds(text: str) -> float | None:
    """Go's and protobuf's durations: "34.07s", "6m0s", "1h2m3.5s", "348ms"; None for others."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    pairs = zip(found.groups(), _UNITS, strict=True)
    return sum(float(count) * unit for count, unit in pairs if count)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.fullmatch(text.strip()) else None
