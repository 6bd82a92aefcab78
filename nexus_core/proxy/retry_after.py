"""Retry-After: how long a backend wants to be left alone."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from nexus_core.upstream.base import Headers

_NUMBER = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?")


def retry_after_seconds(headers: Headers, now: float) -> float | None:
    """Seconds from `now` (since the epoch), never negative; None without a header that says it.

    Both forms of RFC 9110 section 10.2.3, and OpenAI's own `retry-after-ms`.
    """
    values = dict(headers)
    milliseconds = _number(values.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = values.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the second for numbers without end
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.fullmatch(text.strip()) else None
