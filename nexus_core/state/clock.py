"""The clock of leases: seconds that go on while the machine sleeps, unlike `time.monotonic`.

On Linux CLOCK_MONOTONIC stops in suspend and CLOCK_BOOTTIME does not; on macOS it is
CLOCK_MONOTONIC that goes on, where `time.monotonic` reads a clock that stops.
https://man7.org/linux/man-pages/man2/clock_gettime.2.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

# Monotonic seconds, the time of sleep included.
lease_clock: Callable[[], float] = partial(
    time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)
