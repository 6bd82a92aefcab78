"""Open circuits of one process, as others hear of them: the real script and a real store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from nexus_core.state.valkey.hints import Hints, Place
from nexus_core.state.valkey.link import ValkeyLink
from tests.fleet.server import StoreServer, store_server
from tests.state.valkey.processes import dying, make, running
from tests.waiting import until

WHOLE: Place = ("local", None)
MODEL: Place = ("local", "m")


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server.known()


@dataclass
class Process:
    """One with a link, and what it finds and hears."""

    link: ValkeyLink
    found: list[Place] = field(default_factory=list[Place])
    heard: list[Mapping[Place, str]] = field(default_factory=list[Mapping[Place, str]])

    def __post_init__(self) -> None:
        self.link.add(Hints(lambda: self.found, self.heard.append))


async def test_what_fails_at_one_is_told_to_the_others_for_as_long_as_it_does(
    store: StoreServer,
) -> None:
    one, two = Process(make(store.url, "box-1")), Process(make(store.url, "box-2"))
    async with running(one.link, two.link):
        one.found = [WHOLE, MODEL]
        await until(lambda: two.heard == [{WHOLE: "box-1", MODEL: "box-1"}])
        one.found = [MODEL]
        await until(lambda: two.heard[1:] == [{MODEL: "box-1"}])
        one.found = []
        await until(lambda: two.heard[2:] == [{}])
    assert one.heard == []


async def test_what_a_dead_one_found_is_told_no_more(store: StoreServer) -> None:
    one, two = Process(make(store.url, "box-1")), Process(make(store.url, "box-2"))
    async with running(two.link):
        async with dying(one.link):
            one.found = [WHOLE]
            await until(lambda: two.heard == [{WHOLE: "box-1"}])
        await until(lambda: two.heard[1:] == [{}], 3)


async def test_who_is_cut_off_goes_by_what_it_finds_itself(store: StoreServer) -> None:
    one, two = Process(make(store.url, "box-1")), Process(make(store.url, "box-2"))
    one.found = [MODEL]
    async with running(one.link, two.link):
        await until(lambda: two.heard == [{MODEL: "box-1"}])
        store.freeze()
        await until(lambda: two.heard[1:] == [{}])
        store.thaw()
        await until(lambda: two.heard[2:] == [{MODEL: "box-1"}], 3)
