"""The clock of leases."""

from __future__ import annotations

import time

from nexus_core.state.clock import lease_clock


def test_it_goes_on_with_real_seconds_and_counts_sleep() -> None:
    before, plain = lease_clock(), time.monotonic()

    assert lease_clock() >= before
    assert lease_clock() - before <= time.monotonic() - plain + 1
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(lease_clock() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1
