"""Histograms of durations and token counts, in logarithmic buckets."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log2
from operator import add
from typing import Any

from nexus_core.types import is_object

_BUCKETS_PER_DOUBLING = 8  # a bucket is 9 % wide, so a percentile is off by 4.5 % at most
_SMALLEST_MS = 10 / 1024  # 10 ms times any power of two is then the edge of a bucket
_MOST_BOUNDS = 14  # of a histogram of tokens
_BUCKETS = 25 * _BUCKETS_PER_DOUBLING  # up to 5.5 minutes; longer ones count as that


@dataclass(frozen=True, slots=True)
class HistogramMark:
    """What a histogram held at one time: the buckets from the first filled one to the last."""

    first: int
    counts: array[int]
    sum_ms: float

    @classmethod
    def sum_of(cls, marks: Iterable[HistogramMark]) -> HistogramMark:
        """What several histograms held together."""
        filled = [mark for mark in marks if mark.counts]
        if not filled:
            return cls(0, array("Q"), 0.0)
        first = min(mark.first for mark in filled)
        end = max(mark.first + len(mark.counts) for mark in filled)
        counts = array("Q", bytes(8 * (end - first)))
        for mark in filled:
            for index, count in enumerate(mark.counts, mark.first - first):
                counts[index] += count
        return cls(first, counts, sum(mark.sum_ms for mark in filled))


class Histogram:
    """How often each duration was seen; constant in memory."""

    __slots__ = ("_counts", "count", "sum_ms")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.sum_ms = 0.0

    def add(self, ms: float, *others: Histogram) -> None:
        """Count one duration in milliseconds, in this histogram and in others."""
        ratio = ms / _SMALLEST_MS
        index = int(log2(ratio) * _BUCKETS_PER_DOUBLING) if ratio > 1 else 0
        if index >= _BUCKETS:
            index = _BUCKETS - 1
        self._counts[index] += 1
        self.count += 1
        self.sum_ms += ms
        for histogram in others:
            histogram._counts[index] += 1
            histogram.count += 1
            histogram.sum_ms += ms

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

    def cumulative(self, bounds_ms: Sequence[float]) -> list[int]:
        """How many durations were below each of the bounds.

        Exact for 10 ms times a power of two; any other bound is moved to the nearest edge.
        """
        below = [0, *accumulate(self._counts)]
        return [below[_edge(bound)] for bound in bounds_ms]

    def mark(self) -> HistogramMark:
        """What it holds now, to be subtracted later."""
        filled = bytes(map(bool, self._counts))
        first, end = max(0, filled.find(1)), filled.rfind(1) + 1
        return HistogramMark(first, array("Q", self._counts[first:end]), self.sum_ms)

    def since(self, mark: HistogramMark) -> Histogram:
        """What was added since the mark; of another histogram's mark nothing below zero."""
        added = Histogram()
        counts = added._counts = self._counts.copy()
        for index, count in enumerate(mark.counts, mark.first):
            counts[index] = max(0, counts[index] - count)
        added.count = sum(counts)
        added.sum_ms = max(0.0, self.sum_ms - mark.sum_ms) if added.count else 0.0
        return added

    def as_json(self) -> dict[str, Any]:
        """The buckets that are not empty, and the sum."""
        return {"buckets": _filled(self._counts), "sum_ms": self.sum_ms}

    @classmethod
    def sum_of(cls, histograms: Iterable[Histogram]) -> Histogram:
        """What several of them hold together; another one, which counts on by itself."""
        together = cls()
        for one in histograms:
            if one.count:
                together._counts = [*map(add, together._counts, one._counts)]
                together.count += one.count
                together.sum_ms += one.sum_ms
        return together

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Histogram:
        """The same again.

        Raises:
            LookupError, TypeError, ValueError: it is not what `as_json` gives.
        """
        histogram = cls()
        _fill(histogram._counts, value["buckets"])
        histogram.count = sum(histogram._counts)
        histogram.sum_ms = float(value["sum_ms"])
        return histogram


def _edge(ms: float) -> int:
    """The bucket whose lower edge is nearest."""
    return min(max(round(math.log2(ms / _SMALLEST_MS) * _BUCKETS_PER_DOUBLING), 0), _BUCKETS)


class TokenHistogram:
    """How often each number of tokens was seen; a bucket is four times as wide as the one below."""

    BOUNDS = tuple(4**power for power in range(_MOST_BOUNDS))  # 1 to 67 million, each included

    __slots__ = ("_counts", "count", "sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(self.BOUNDS) + 1)
        self.count = 0
        self.sum = 0

    def add(self, tokens: int) -> None:
        """Count one number of tokens."""
        index = ((tokens - 1).bit_length() + 1) // 2 if tokens > 0 else 0
        self._counts[index if index < _MOST_BOUNDS else _MOST_BOUNDS] += 1
        self.count += 1
        self.sum += tokens

    def cumulative(self) -> list[int]:
        """How many were at or below each of `BOUNDS`."""
        return list(accumulate(self._counts[:-1]))

    def as_json(self) -> dict[str, Any]:
        """The buckets that are not empty, and the sum."""
        return {"buckets": _filled(self._counts), "sum": self.sum}

    @classmethod
    def sum_of(cls, histograms: Iterable[TokenHistogram]) -> TokenHistogram:
        """What several of them hold together; another one, which counts on by itself."""
        together = cls()
        for one in histograms:
            together._counts = [*map(add, together._counts, one._counts)]
            together.count += one.count
            together.sum += one.sum
        return together

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> TokenHistogram:
        """The same again.

        Raises:
            LookupError, TypeError, ValueError: it is not what `as_json` gives.
        """
        histogram = cls()
        _fill(histogram._counts, value["buckets"])
        histogram.count = sum(histogram._counts)
        histogram.sum = int(value["sum"])
        return histogram


def _filled(counts: Sequence[int]) -> dict[str, int]:
    return {str(index): count for index, count in enumerate(counts) if count}


def _fill(counts: list[int], filled: object) -> None:
    if not is_object(filled):
        raise TypeError("buckets are an object")
    for index, count in filled.items():
        if not isinstance(count, int) or count < 0 or int(index) < 0:
            raise ValueError("a bucket holds a number of values")
        counts[int(index)] = count
