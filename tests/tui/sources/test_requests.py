"""Both sources hand over the core's store of requests: by reference, and read back from events."""

from __future__ import annotations

from nexus_core.observe.facts import DETAIL, LISTED
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import CAPACITY, SCREEN_CAPACITY
from nexus_tui.sources.local import LocalSource
from nexus_tui.view.model import ViewModel
from tests.observe.test_facts import FINISHED, RECEIVED
from tests.tui.fleet import STORIES, make_gateway, make_source, publish
from tests.tui.sources.test_remote import linked
from tests.tui.sources.test_remote import make_gateway as make_real_gateway
from tests.waiting import until


def facts_of(request: RequestRecord | None) -> dict[str, object]:
    assert request is not None
    return {key: fact.of(request) for key, fact in (*LISTED, *DETAIL)}


def test_the_screen_shows_the_requests_of_the_core_themselves() -> None:
    source, gateway = make_source(plays=False)
    view = ViewModel(source.requests)

    publish(gateway, "r1", STORIES[0])
    view.take(source.changed())

    assert source.requests is gateway.recent
    assert view.view[0] is gateway.recent.get("r1")


def test_where_a_screen_lists_requests_more_of_them_are_kept() -> None:
    gateway, other = make_gateway(), make_gateway()
    before = gateway.recent.capacity
    source = LocalSource(gateway)

    source.follow(other)

    assert before == CAPACITY
    assert (gateway.recent.capacity, other.recent.capacity) == (SCREEN_CAPACITY,) * 2
    assert source.requests is other.recent


def test_a_successor_s_requests_begin_a_new_list() -> None:
    source, gateway = make_source(plays=False)
    view = ViewModel(source.requests)
    for number in range(3):
        publish(gateway, f"old{number}", STORIES[0])
    view.take(source.changed())
    successor = make_gateway()

    source.follow(successor)
    view.follow(source.requests)
    publish(successor, "new", STORIES[0])
    view.take(source.changed())

    assert [row.request_id for row in view.view] == ["new"]


def test_what_is_gone_before_it_is_drawn_is_left_out() -> None:
    source, gateway = make_source(plays=False)
    view = ViewModel(source.requests)
    publish(gateway, "r1", STORIES[0])
    gateway.recent.clear()

    view.take(source.changed())

    assert view.kept == 0


async def test_a_request_of_another_nexus_reads_as_it_does_there() -> None:
    gateway = make_real_gateway()
    gateway.bus.publish(RECEIVED)
    gateway.bus.publish(FINISHED)

    async with linked(gateway) as source:
        await until(lambda: FINISHED in source.drain())

        assert facts_of(source.requests.get("r1")) == facts_of(gateway.recent.get("r1"))


async def test_a_gap_in_the_events_forgets_requests_whose_end_may_be_missing() -> None:
    gateway = make_real_gateway()
    gateway.bus.publish(RECEIVED)

    async with linked(gateway) as source:
        await until(lambda: RECEIVED in source.drain())
        source._miss({"reason": "lapped", "until": f"{gateway.event_log.run}-1"})

        assert len(source.requests) == 0
