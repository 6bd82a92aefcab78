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
