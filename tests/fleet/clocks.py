"""Processes with a wrong clock, by libfaketime; what is monotonic is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

_PLACES = ("/usr/lib/*/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")


def wrong_clock(seconds: float) -> dict[str, str]:
    """The environment of a process whose clock is so many seconds ahead, or behind.

    Skips the test where libfaketime is not installed. See
    https://github.com/wolfcw/libfaketime#faking-the-date-and-time-system-wide-for-an-application
    """
    found = _library(_PLACES)
    if found is None:
        pytest.skip("needs libfaketime (Debian: apt-get install faketime)")
    return {
        "LD_PRELOAD": str(found),
        "FAKETIME": f"{seconds:+.0f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def _library(places: Sequence[str]) -> Path | None:
    for place in places:
        for path in sorted(Path("/").glob(f"{place.removeprefix('/')}/libfaketime.so.1")):
            return path
    return None
