"""Switches over several processes: the real script, calls that are lost, late, repeated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nexus_core.state.base import Link
from nexus_core.state.valkey.program import program
from nexus_core.state.valkey.switches import Switch, Switches
from nexus_core.types import JsonObject
from tests.fleet.server import StoreServer, store_server

OPEN, ENDED = "zone:open", 3  # beats of everybody after which all is known


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server


class Store:
    """The program on a real server, called as a link calls it; each instance is a fleet."""

    fleets = 0

    def __init__(self, server: StoreServer) -> None:
        Store.fleets += 1
        self._prefix = f"{{nexus:f{Store.fleets}}}:"
        self._redis = redis.Redis(unix_socket_path=str(server.socket))
        self._script = self._redis.register_script(program().body)
        self.lose_data()
        self._redis.set(f"{self._prefix}run", "run-1")

    def beat(self, box: Box, report: JsonObject) -> JsonObject:
        said: JsonObject = {
            "process": box.process,
            "replica": box.process,
            "run": "run-1",
            "data": box.data,
            "dead_ms": 5000,
            "member": '{"replica":"r","worker":null}',
            "confirmed": 0,
            "parts": {"switches": report},
            "takes": [],
        }
        answer = cast(
            Any, self._script(keys=[f"{self._prefix}run"], args=["beat", msgspec.json.encode(said)])
        )
        self._redis.persist(f"{self._prefix}quarantine")  # it ends when the test says so
        told: JsonObject = msgspec.json.decode(answer)
        return told

    def lose_data(self) -> None:
        """It is away for a moment, too: longer than for as many ticks as there are switches."""
        ends = time.monotonic() + 0.005
        while time.monotonic() < ends:
            self._redis.ping()
        for key in self._redis.scan_iter(match=f"{self._prefix}*"):
            self._redis.delete(key)

    def end_quarantine(self) -> None:
        """As if its second had passed."""
        self._redis.delete(f"{self._prefix}quarantine")

    def close(self) -> None:
        self._redis.close()


class Box:
    """A process: its link, as far as switches use it, and whether its open zone is on."""

    starts = 0

    def __init__(self, store: Store) -> None:
        Box.starts += 1
        self.process = f"p{Box.starts}"
        self.restores = False
        self.data: str | None = None
        self.is_open = True
        self.followed: list[Switch] = []
        self._store = store
        self.switches = Switches(cast(Link, self), self._follow)

    def hurry(self) -> None: ...

    def _follow(self, switch: Switch, is_news: bool) -> None:
        self.followed.append(switch)
        self.is_open = bool(switch.value)

    def switch(self, is_open: bool) -> None:
        self.is_open = is_open
        self.switches.tell(Switch(key=OPEN, value=is_open, opens=is_open, closes=not is_open))

    @property
    def has_told_all(self) -> bool:
        return not self.switches.report()["told"]

    def beat(self, fate: str = "arrives") -> None:
        """A beat that arrives, or is lost, or whose answer is, or that the store hears twice."""
        report, is_whole = self.switches.report(), self.restores or self.data is None
        if fate == "is lost":
            return
        if fate == "is heard twice":
            self._store.beat(self, report)
        answer = self._store.beat(self, report)
        if fate == "is not answered":
            return
        if is_whole:
            self.data = answer["data"]
        self.restores = bool(answer["quarantine"])
        self.switches.accept(answer["parts"]["switches"], 0.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("beat",) * 8,
                *("cut", "open", "cut", "open"),
                *("is lost", "is not answered", "is heard twice"),
                *("data lost", "quarantine ends", "restart"),
            ]
        ),
        st.integers(0, 2),
    ),
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
@example([("cut", 0), ("beat", 0), ("open", 0), ("cut", 1), ("data lost", 0)])
@example(
    [
        *(("data lost", 0), ("beat", 0), ("cut", 0), ("quarantine ends", 0), ("beat", 0)),
        *(("open", 0), ("cut", 1), ("data lost", 0)),
    ]
)
def test_all_agree_in_the_end_and_nothing_undoes_a_cut_that_came_last(
    server: StoreServer, steps: list[tuple[str, int]]
) -> None:
    store = Store(server)
    boxes = [Box(store) for _ in range(3)]
    is_cut_last = False

    for step, number in steps:
        box = boxes[number]
        match step:
            case "beat":
                box.beat()
            case "cut" | "open":
                box.switch(step == "open")
                is_cut_last = step == "cut"
            case "data lost":
                store.lose_data()
            case "quarantine ends":
                store.end_quarantine()  # whoever did not beat meanwhile was away
            case "restart" if box.has_told_all and _is_known_elsewhere(box, boxes):
                boxes[number] = Box(store)
                boxes[number].beat()
            case "restart":
                pass
            case _:
                box.beat(step)

    for _ in range(ENDED):
        for box in boxes:
            box.beat()
    store.end_quarantine()
    for _ in range(ENDED):
        for box in boxes:
            box.beat()
    store.close()
    assert len({box.is_open for box in boxes}) == 1, str(steps)
    if is_cut_last:
        assert not boxes[0].is_open, str(steps)


def _is_known_elsewhere(box: Box, boxes: list[Box]) -> bool:
    """Whether what it knows outlives it, whatever the store does."""
    mine = box.switches.in_force
    return any(other is not box and other.switches.in_force == mine for other in boxes)


def test_an_opening_holds_only_over_what_was_seen(server: StoreServer) -> None:
    store = Store(server)
    one, two = Box(store), Box(store)
    for box in (one, two):
        box.beat()
    one.switch(False)
    one.beat()
    two.beat()
    two.switch(True)  # it saw the first cut
    one.switch(False)
    one.beat()
    two.beat()
    one.beat()

    assert not one.is_open
    assert not two.is_open
    assert two.has_told_all
    two.switch(True)
    two.beat()
    one.beat()
    assert one.is_open
    store.close()


def test_who_begins_takes_what_is_in_force_as_no_news(server: StoreServer) -> None:
    store = Store(server)
    one = Box(store)
    one.beat()
    one.switch(False)
    one.beat()
    later = Box(store)
    later.beat()

    assert not later.is_open
    assert [switch.process for switch in later.followed] == [one.process]
    assert one.followed == []
    store.close()


def test_tiers_and_other_values_take_the_last_one(server: StoreServer) -> None:
    store = Store(server)
    one, two = Box(store), Box(store)
    one.beat()
    two.beat()
    one.switches.tell(Switch(key="tier:a", value=3, by={"via": "api", "name": None}, at=1.5))
    one.beat()
    two.switches.tell(Switch(key="tier:a", value=None))
    two.beat()
    one.beat()

    (known,) = one.switches.in_force
    assert (known.value, known.process, known.version) == (None, two.process, 2)
    assert known == two.switches.in_force[0]
    store.close()


def test_who_was_away_when_data_were_lost_follows_the_next_cut(server: StoreServer) -> None:
    store = Store(server)
    one, two = Box(store), Box(store)
    for is_open in (False, True, False, True):
        one.switch(is_open)
        one.beat()
    later = Box(store)  # knows nothing of it
    store.lose_data()
    later.beat()
    store.end_quarantine()
    later.switch(False)
    later.beat()
    assert not two.restores
    for _ in range(ENDED):
        one.beat()
        later.beat()

    assert not one.is_open
    assert not later.is_open
    store.close()


def test_a_switch_that_can_not_be_read_or_followed_keeps_no_other_from_its_work(
    server: StoreServer,
) -> None:
    store = Store(server)
    one, two = Box(store), Box(store)
    for box in (one, two):
        box.beat()
    one.switches.tell(Switch(key="backend:new", value=3))
    one.switches.tell(Switch(key=OPEN, value=False, closes=True))
    one.beat()
    answer = store.beat(two, two.switches.report())["parts"]["switches"]
    entries = ['{"key":"zone:new","value":{"of":"another version"}}', *answer["entries"]]

    with pytest.raises(msgspec.ValidationError):
        two.switches.accept({**answer, "entries": entries}, 0.0)
    assert not two.is_open
    assert two.switches.version == 0  # so that it is told again
    store.close()
