"""Durations in logarithmic buckets: percentiles without keeping or sorting the values."""

from __future__ import annotations

import math

_BUCKETS_PER_DOUBLING = 8  # a bucket is 9 % wide, so a percentile is off by 4.5 % at most
_SMALLEST_MS = 0.01
_BUCKETS = 25 * _BUCKETS_PER_DOUBLING  # up to 5.6 minutes; longer ones count as that


class Histogram:
    """How often each duration was seen; constant in memory."""

    __slots__ = ("_counts", "count", "sum_ms")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.sum_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one duration in milliseconds."""
        index = int(math.log2(max(ms, _SMALLEST_MS) / _SMALLEST_MS) * _BUCKETS_PER_DOUBLING)
        self._counts[min(index, _BUCKETS - 1)] += 1
        self.count += 1
        self.sum_ms += ms

    def percentile(self, share: float) -> float | None:
        """The duration (ms) that `share` (0..1) of all did not exceed; None without any."""
        if not self.count:
            return None
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return float(_SMALLEST_MS * 2 ** ((index + 0.5) / _BUCKETS_PER_DOUBLING))
        raise AssertionError("the buckets hold fewer values than were counted")
