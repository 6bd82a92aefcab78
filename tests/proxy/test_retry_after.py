import json
from typing import Any

import pytest

from nexus_core.dialects.error_report import read_wait
from nexus_core.proxy.retry_after import (
    duration_seconds,
    retry_after_seconds,
    rounded_up,
    with_wait,
)

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("retry-after", "7", 7.0),
        ("retry-after", "0.5", 0.5),
        ("retry-after", " 7 ", 7.0),
        ("retry-after", "2.000000001", 2.000000001),
        ("retry-after", "0", 0.0),
        ("retry-after", "Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("retry-after", "Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("retry-after", "Friday, 15-Jan-27 08:00:30 GMT", 30.0),
        ("retry-after", "Fri Jan 15 08:00:30 2027", 30.0),
        ("retry-after", "-7", None),
        ("retry-after", "soon", None),
        ("retry-after", "", None),
        ("retry-after", "9" * 400, None),
        ("retry-after", "1e9", None),
        ("retry-after", f"1 Jan {10**20} 00:00:00 GMT", None),
        ("retry-after", "\N{SUPERSCRIPT TWO}", None),
        ("retry-after-ms", "\N{SUPERSCRIPT TWO}", None),
        ("retry-after", ". 1", None),
        ("retry-after-ms", "1500", 1.5),
        ("x-other", "7", None),
    ],
)
def test_every_form_is_read_and_rubbish_is_none(
    name: str, value: str, seconds: float | None
) -> None:
    assert retry_after_seconds(((name, value),), NOW) == seconds


def test_of_several_waits_the_longest_counts() -> None:
    headers = (("retry-after", "2"), ("retry-after-ms", "2500"), ("retry-after", "1"))

    assert retry_after_seconds(headers, NOW) == 2.5


LATER = "Fri, 15 Jan 2027 08:00:30 GMT"
GOOGLE = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.4s"}


def ratelimit(left: str, reset: str, what: str = "") -> tuple[tuple[str, str], ...]:
    return (
        (f"x-ratelimit-remaining{what}", left),
        (f"x-ratelimit-reset{what}", reset),
    )


def routed(reset: str, left: str = "0") -> dict[str, Any]:
    """OpenRouter repeats the headers in the body."""
    told = {"X-RateLimit-Remaining": left, "X-RateLimit-Reset": reset}
    return {"error": {"message": "x", "code": 429, "metadata": {"headers": told}}}


def says(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ((("retry-after", "7"),), {}, "7"),
        ((("retry-after", "2.4"),), {}, "3"),
        ((("retry-after", "0"),), {}, "0"),
        ((("retry-after-ms", "1500"),), {}, "2"),
        ((("retry-after-ms", "1500"), ("retry-after", "1")), {}, "2"),
        ((("retry-after", LATER),), {}, LATER),
        ((("retry-after", LATER), ("retry-after-ms", "29000")), {}, LATER),
        ((("retry-after", LATER), ("retry-after-ms", "30001")), {}, "31"),
        ((("retry-after", "Fri, 15 Jan 2027 07:00:30 GMT"), ("retry-after", "9")), {}, "9"),
        ((), {"error": {"details": [{"reason": "x"}, GOOGLE]}}, "3"),
        ((), [{"error": {"details": [GOOGLE]}}], "3"),
        ((("retry-after", "9"),), {"error": {"details": [GOOGLE]}}, "9"),
        (ratelimit("0", "1s", "-requests"), {}, "1"),
        (ratelimit("0", "6m0s", "-tokens"), {}, "360"),
        (ratelimit("0", "348ms", "-tokens"), {}, "1"),
        (ratelimit("12", "6m0s", "-tokens"), {}, None),
        (ratelimit("0", "1s", "-requests") + ratelimit("0", "2.5s", "-tokens"), {}, "3"),
        (ratelimit("0", "30"), {}, "30"),
        (ratelimit("0", str(int(NOW) + 12)), {}, "12"),
        (ratelimit("0", "soon"), {}, None),
        ((), routed(str(int((NOW + 61.2) * 1000))), "62"),
        ((), routed(str(int((NOW - 61) * 1000))), "0"),
        ((), routed(str(int((NOW + 10**8) * 1000))), "86400"),
        ((), routed(str(int((NOW + 61) * 1000)), left="3"), None),
        ((), says("Rate limit reached … Please try again in 1.2s. Visit …"), "2"),
        ((), says("Please try again in 6m3.1s."), "364"),
        ((), says("Please try again in 120ms."), "1"),
        ((), says("Please retry in 34.074824224s."), "35"),
        ((), says("Please try again later"), None),
        ((), b"<html>", None),
        ((), b"", None),
    ],
)
def test_a_client_is_never_told_less_than_was_asked(
    headers: tuple[tuple[str, str], ...], body: Any, told: str | None
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    asked = with_wait((("x-request-id", "r"), *headers), read_wait(raw), NOW)
    passed = rounded_up(asked, NOW)

    assert [value for name, value in passed if name == "retry-after"] == ([told] if told else [])
    assert ("x-request-id", "r") in passed
    exact, whole = retry_after_seconds(asked, NOW), retry_after_seconds(passed, NOW)
    assert (exact is None) == (told is None)
    assert exact is None or whole is None or exact <= whole < exact + 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400.0),
        ("20ms", 0.02),
        ("34.074824224s", 34.074824224),
        ("", None),
        ("5", None),
        ("s", None),
        ("-1s", None),
        ("1s ago", None),
        ("9" * 50 + "s", None),
    ],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    assert duration_seconds(text) == seconds
