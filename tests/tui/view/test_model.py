from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.observe.events import Attempt, BackendToggled, NexusEvent
from nexus_core.observe.requests import RecentRequests
from nexus_tui.view.filter.requests import parse_filter
from nexus_tui.view.model import BACKENDS, KPI, LIST, ViewModel
from nexus_tui.view.rates import RateSeries
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import STORIES, Story, make_gateway, make_source, publish


def events_of(*stories: Story) -> list[NexusEvent]:
    gateway = make_gateway()
    subscription = gateway.bus.subscribe()
    for number, story in enumerate(stories):
        publish(gateway, f"id{number}", story)
    return subscription.drain()


def new_view(capacity: int = 1000) -> ViewModel:
    """With a store of its own, which `feed` changes as a source does."""
    return ViewModel(RecentRequests(), capacity)


def feed(view: ViewModel, events: Collection[NexusEvent]) -> None:
    """One event after the other: its request, if it is one's, or itself."""
    for event in events:
        view.requests.apply(event)
        row = view.requests.get(getattr(event, "request_id", ""))
        view.take([] if row is None else [row])
        view.apply([event])


def view_of(*stories: Story, capacity: int = 100) -> ViewModel:
    view = new_view(capacity)
    feed(view, events_of(*stories))
    return view


def models(view: ViewModel) -> list[str]:
    return [row.asked_model for row in view.view]


OK = Story(1, "llama3:70b", "vllm-a")
LIVE = Story(1, "gpt-4o", "openai", total_ms=None)
FAILED = Story(1, "secret-gpt", None, None, status=503, first_ms=None, total_ms=1)


def test_a_request_grows_with_its_events() -> None:
    events = events_of(OK)
    view = new_view()

    feed(view, events[:1])
    row = view.view[0]
    first = (row.is_live, row.backend, row.status, row.version)
    feed(view, events[1:])

    assert first == (True, None, None, 0)
    assert (row.is_live, row.backend, row.status) == (False, "vllm-a", 200)
    assert row.version == len(events) - 1


def test_the_ring_drops_the_oldest_row() -> None:
    view = view_of(*(Story(1, f"m{n}", "openai") for n in range(5)), capacity=3)

    assert models(view) == ["m2", "m3", "m4"]
    assert view.position(view.view[1].seq) == 1


def test_events_of_an_unknown_request_change_nothing() -> None:
    view = new_view()

    feed(view, events_of(OK)[1:])

    assert view.kept == 0


@given(st.randoms(use_true_random=False))
def test_any_order_of_events_leaves_a_view_that_can_be_read(shuffle: random.Random) -> None:
    events = events_of(OK, LIVE, FAILED, *STORIES[-6:])
    shuffle.shuffle(events)
    view = new_view(capacity=4)
    view.set_filter("live")

    feed(view, events)

    assert all(row.is_live for row in view.view)
    assert view.kept == 4
    view.set_filter("")
    assert [row.seq for row in view.view] == sorted(row.seq for row in view.view)


def test_totals_come_from_the_core() -> None:
    source, gateway = make_source()
    view = ViewModel(source.requests)

    view.take(source.changed())

    assert view.kept == gateway.stats.requests + gateway.stats.turned_away
    assert sum(row.is_live for row in view.view) == gateway.stats.in_flight


# --- dirty groups --------------------------------------------------------------------------


def test_groups_are_dirty_once() -> None:
    view = new_view()

    assert view.take_dirty() == {KPI, BACKENDS, LIST}
    assert view.take_dirty() == set()
    feed(view, [BackendToggled(at=NOW, backend="openai", enabled=False)])
    assert view.take_dirty() == {KPI, BACKENDS}


def test_a_switch_is_pending_until_its_event() -> None:
    view = new_view()
    view.pending["openai"] = False

    feed(view, [BackendToggled(at=NOW, backend="openai", enabled=False)])

    assert view.pending == {}


# --- pause ---------------------------------------------------------------------------------


def test_a_paused_list_keeps_its_rows_whatever_the_ring_drops() -> None:
    view = view_of(Story(1, "old", "openai"), capacity=2)
    view.pause()

    feed(view, events_of(*(Story(1, f"m{n}", "openai") for n in range(5))))

    assert models(view) == ["old"]
    assert view.new_while_paused == 5
    view.resume()
    assert models(view) == ["m3", "m4"]


def test_a_filter_on_a_paused_list_searches_the_frozen_rows() -> None:
    view = view_of(OK, FAILED)
    view.pause()
    feed(view, events_of(OK, OK, OK))

    view.set_filter("vllm")

    assert len(view.view) == 1


# --- filter --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["llama3:70b", "gpt-4o", "secret-gpt"]),
        ("LLAMA3:70B", ["llama3:70b"]),
        ("gpt", ["gpt-4o", "secret-gpt"]),
        ("gpt openai", ["gpt-4o"]),
        ("id1", ["gpt-4o"]),
        ("status:5xx", ["secret-gpt"]),
        ("status:200", ["llama3:70b", "gpt-4o"]),
        ("zone:open", ["gpt-4o"]),
        ("!zone:open", ["llama3:70b", "secret-gpt"]),
        ("reason:match !live", ["llama3:70b"]),
        ("backend:vllm", ["llama3:70b"]),
        ("model:secret", ["secret-gpt"]),
        ("live", ["gpt-4o"]),
        ("slow:>1s", ["llama3:70b"]),
        ("slow:500ms", ["llama3:70b"]),
        ("cost:>0", []),
        ("!", ["llama3:70b", "gpt-4o", "secret-gpt"]),
        ("status:abc", []),
        ("!status:9xx", []),
        ("!zone:", []),
        ("gpt !zone:", []),
    ],
)
def test_the_filter_language(text: str, expected: list[str]) -> None:
    view = view_of(OK, LIVE, FAILED)

    view.set_filter(text)

    assert models(view) == expected


@pytest.mark.parametrize("text", ["status:abc", "zone:cloud", "slow:soon", "cost:much"])
@pytest.mark.parametrize("sign", ["", "!"])
def test_a_term_that_makes_no_sense_is_told(sign: str, text: str) -> None:
    assert (parse_filter(sign + text).problem or "").startswith(text.partition(":")[0])


PRICED = (
    replace(OK, model="free"),
    Story(1, "gpt-4o", "openai", tokens=(400, 200)),  # $0.0030
    Story(1, "gpt-4o", "openai", tokens=(40_000, 200)),  # $0.1020
    Story(1, "o-large", "other-cloud"),
)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("cost:>0", ["id1", "id2"]),
        ("cost:>0.003", ["id2"]),
        ("cost:0.1", ["id2"]),
        ("cost:<0.1", ["id1"]),
        ("cost:unpriced", ["id3"]),
        ("!cost:>0", ["id0", "id3"]),
    ],
)
def test_requests_are_found_by_what_they_cost(text: str, ids: list[str]) -> None:
    view = view_of(*PRICED)

    view.set_filter(text)

    assert [row.request_id for row in view.view] == ids


def test_the_dearest_is_on_top_and_what_has_no_known_cost_below() -> None:
    view = view_of(*PRICED)
    view.sort_by("cost")

    assert [row.request_id for row in view.view] == ["id0", "id3", "id1", "id2"]


def test_rows_enter_and_leave_a_filter_as_they_change() -> None:
    view = new_view()
    view.set_filter("live")
    events = events_of(OK)

    feed(view, events[:2])
    while_running = len(view.view)
    feed(view, events[2:])

    assert (while_running, len(view.view)) == (1, 0)


def test_errors_only_shows_what_failed_and_keeps_the_filter() -> None:
    view = view_of(OK, LIVE, FAILED, Story(1, "gpt-4o", "openai", status=502))
    view.set_filter("openai")

    view.set_errors_only(True)

    assert [row.status for row in view.view] == [502]


def test_requests_that_no_event_told_of_count_in_the_rate() -> None:
    rate = RateSeries()

    rate.add(NOW, 40)
    rate.add(NOW)
    rate.add(NOW, 0)

    assert rate.values(NOW + 1)[-1] == 41


def test_a_cleared_view_forgets_its_rows_and_begins_anew() -> None:
    gateway = make_gateway()
    watched = gateway.bus.subscribe()
    publish(gateway, "old", STORIES[0])
    view = new_view()
    feed(view, watched.drain())

    view.clear()
    publish(gateway, "new", STORIES[0])
    feed(view, watched.drain())

    assert [row.request_id for row in view.view] == ["new"]
    assert view.kept == 1


# Order, marks, an empty list ------------------------------------------------------------------


TIMED = tuple(Story(1, f"m{ms}", "openai", total_ms=ms) for ms in (300, 100, None, 200))


def test_two_rows_are_marked_and_a_mark_is_taken_away_by_marking_again() -> None:
    view = view_of(*TIMED)
    first, second, third = list(view.view)[:3]

    view.mark(first)
    view.mark(second)
    view.mark(third)
    assert view.marked == [second, third]

    view.mark(second)
    assert view.marked == [third]


def test_a_cleared_list_is_empty_and_goes_on() -> None:
    view = view_of(*TIMED)
    view.pause()
    view.mark(view.view[0])

    view.clear()
    feed(view, events_of(OK))

    assert models(view) == ["llama3:70b"]
    assert view.marked == []
    assert not view.paused


def test_the_newest_failures_of_a_backend_are_kept() -> None:
    failed = tuple(
        Attempt(backend="exo", error=f"error {number}", status=500, elapsed_ms=1)
        for number in range(9)
    )
    view = view_of(Story(1, "m", "openai", failed=failed))

    kept = [attempt.error for _, attempt in view.troubles["exo"]]
    assert kept == [f"error {number}" for number in range(4, 9)]


@given(
    st.lists(st.sampled_from(["sort", "reverse", "pause", "resume", "errors", "filter", "clear"])),
    st.randoms(use_true_random=False),
)
def test_whatever_is_done_to_the_list_its_rows_are_all_different_and_all_match(
    handlers: list[str], shuffle: random.Random
) -> None:
    view = new_view(capacity=8)
    events = events_of(*(STORIES[number * 7] for number in range(12)), FAILED, LIVE)
    for deed in handlers:
        for _ in range(shuffle.randrange(4)):
            if events:
                feed(view, [events.pop(0)])
        {
            "sort": lambda: view.sort_by(shuffle.choice([*view.sorting.ways])),
            "reverse": view.reverse,
            "pause": view.pause,
            "resume": view.resume,
            "errors": lambda: view.set_errors_only(not view.errors_only),
            "filter": lambda: view.set_filter(shuffle.choice(["", "gpt", "!live", "status:5xx"])),
            "clear": view.clear,
        }[deed]()
        rows = list(view.view)

        assert len({row.seq for row in rows}) == len(rows)
        if not view.paused:
            assert all(view.filter.matches(row) for row in rows)
        assert all(0 <= view.position(row.seq) < len(rows) for row in rows)


@given(st.text())
def test_any_text_is_a_filter(text: str) -> None:
    found = parse_filter(text)

    assert isinstance(found.matches(view_of(OK).view[0]), bool)
