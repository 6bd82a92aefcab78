"""The clock of leases: seconds that go on while the machine sleeps, unlike `time.monotonic`.

On Linux CLOCK_MONOTONIC stops in suspend and CLOCK_BOOTTIME does not; on macOS it is
CLOCK_MONOTONIC that goes on, where `time.monotonic` reads a clock that stops.
https://man7.org/linux/man-pages/man2/clock_gettime.2.html
"""

from __future__ import annotations

import time

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Monotonic seconds, the time of sleep included."""
    return time.clock_gettime(_CLOCK)
