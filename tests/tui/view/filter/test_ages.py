"""Rows that time alone takes into a filter, or out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.observe.requests import RecentRequests
from nexus_tui.view.model import LIST, ViewModel
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import Story
from tests.tui.view.test_model import events_of, feed, models


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time


AGED = tuple(Story(ago, f"m{ago}", "openai") for ago in (90, 50, 30, 10))


def aged_view(watch: Watch, text: str) -> ViewModel:
    view = ViewModel(RecentRequests(), 100, now=watch.now)
    feed(view, events_of(*AGED))
    view.set_filter(text)
    return view


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("last:1m", ["m50", "m30", "m10"], ["m30", "m10"]),
        ("!last:1m", ["m90"], ["m90", "m50"]),
        ("until:20s", ["m90", "m50", "m30"], ["m90", "m50", "m30", "m10"]),
        ("last:1m until:20s", ["m50", "m30"], ["m30", "m10"]),
        ("last:35s or last:2m", ["m90", "m50", "m30", "m10"], ["m90", "m50", "m30", "m10"]),
        ("m3 last:1h", ["m30"], ["m30"]),
    ],
)
def test_rows_enter_and_leave_a_filter_by_time_alone(
    text: str, before: list[str], after: list[str]
) -> None:
    watch = Watch()
    view = aged_view(watch, text)
    at_first = models(view)

    watch.time += 15
    view.take_dirty()
    view.age()

    assert (at_first, models(view)) == (before, after)
    assert (LIST in view.take_dirty()) is (before != after)


def test_a_sorted_list_ages_as_well() -> None:
    watch = Watch()
    view = aged_view(watch, "last:1m")
    view.sort_by("model")
    at_first = models(view)

    watch.time += 15
    view.age()

    assert sorted(at_first) == ["m10", "m30", "m50"]
    assert sorted(models(view)) == ["m10", "m30"]
    assert [view.position(row.seq) for row in view.view] == [0, 1]


def test_a_paused_list_does_not_age() -> None:
    watch = Watch()
    view = aged_view(watch, "last:1m")
    view.pause()

    watch.time += 45
    view.age()
    paused = models(view)
    view.set_filter("last:35s")
    paused_again = models(view)
    view.resume()

    assert paused == ["m50", "m30", "m10"]
    assert paused_again == ["m30", "m10"]  # by the time of the pause
    assert models(view) == []


def test_a_clock_that_is_set_back_brings_rows_back() -> None:
    watch = Watch()
    view = aged_view(watch, "last:1m")

    watch.time += 45
    view.age()
    later = models(view)
    watch.time -= 45
    view.age()

    assert (later, models(view)) == (["m10"], ["m50", "m30", "m10"])


@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=12),
    st.lists(st.integers(1, 30), max_size=5),
    st.sampled_from(["last:20s", "!last:20s", "until:10s last:1m", "last:5s or until:30s"]),
)
def test_what_ages_is_what_would_be_found_anew(
    ages: list[int], steps: list[int], text: str
) -> None:
    watch = Watch()
    view = ViewModel(RecentRequests(), 100, now=watch.now)
    feed(view, events_of(*(Story(ago, f"m{ago}", "openai") for ago in sorted(ages)[::-1])))
    view.set_filter(text)

    for step in steps:
        watch.time += step
        view.age()
        assert list(view.view) == [row for row in view._ring if view.filter.matches(row)]
