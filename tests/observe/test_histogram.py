import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.observe.histogram import Histogram


def test_an_empty_one_has_no_percentiles() -> None:
    assert Histogram().percentile(0.5) is None


@given(st.lists(st.floats(0.02, 300_000), min_size=1), st.sampled_from((0.01, 0.5, 0.95, 0.99, 1)))
def test_a_percentile_is_within_a_bucket_of_the_true_one(values: list[float], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)

    true = sorted(values)[max(1, math.ceil(share * len(values))) - 1]

    assert histogram.percentile(share) == pytest.approx(true, rel=0.05)
    assert histogram.count == len(values)


MS = st.floats(0, 600_000)


@given(st.lists(MS), st.lists(MS))
def test_what_was_added_since_a_mark_is_a_histogram_of_its_own(
    before: list[float], after: list[float]
) -> None:
    histogram, alone = Histogram(), Histogram()
    for value in before:
        histogram.add(value)
    mark = histogram.mark()
    for value in after:
        histogram.add(value)
        alone.add(value)

    since = histogram.since(mark)

    assert since.as_json()["buckets"] == alone.as_json()["buckets"]
    assert since.count == len(after)
    assert since.sum_ms == pytest.approx(alone.sum_ms, abs=1e-3)
    assert histogram.count == len(before) + len(after)


def test_a_mark_of_more_than_there_is_leaves_nothing_below_zero() -> None:
    larger, smaller = Histogram(), Histogram()
    for _ in range(3):
        larger.add(10)
    smaller.add(10)
    smaller.add(500)

    since = smaller.since(larger.mark())

    assert since.count == 1
    assert since.percentile(0.5) == pytest.approx(500, rel=0.05)
