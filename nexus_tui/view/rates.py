"""Rates over the last minute, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

BUCKETS = 60  # seconds of the rate


class RateSeries:
    """Requests per second over the last minute."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._second = 0  # the newest bucket

    def add(self, at: float, count: int = 1) -> None:
        """Count requests; those from before the window are left out."""
        second = int(at)
        if second != self._second:
            self._advance(second)
        if second > self._second - BUCKETS:
            self._counts[second % BUCKETS] += count

    def add_all(self, times: Iterable[float]) -> None:
        """Count requests by when they came."""
        times = [*times]
        if times and int(min(times)) == int(max(times)):  # most often: they came just now
            self.add(times[0], len(times))
            return
        for second, count in Counter(map(int, times)).items():
            self.add(second, count)

    def values(self, now: float) -> list[int]:
        """The last full seconds, oldest first; the running second is not among them."""
        self._advance(int(now))
        return [self._counts[(self._second + i) % BUCKETS] for i in range(1, BUCKETS)]

    def per_second(self, now: float, window: int = 5) -> float:
        """The mean over the last full seconds."""
        return sum(self.values(now)[-window:]) / window

    def _advance(self, second: int) -> None:
        for passed in range(max(self._second + 1, second - BUCKETS + 1), second + 1):
            self._counts[passed % BUCKETS] = 0
        self._second = max(self._second, second)
