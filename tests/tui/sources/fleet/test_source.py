"""Several replicas on one screen: every request once, with its replica; who joins, who goes."""

from __future__ import annotations

import pytest

from nexus_core.control.commands import (
    CaptureBodies,
    ProbeBackend,
    ReplayRequest,
    SetTier,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.errors import NexusError, PermissionDeniedError
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.windows.window import Window
from nexus_core.types import PrivacyZone
from nexus_tui.sources.fleet.requests import LOST
from nexus_tui.sources.fleet.source import FleetSource
from tests.operators import OPERATOR
from tests.tui.sources.fleet.replicas import attached, came, ended, replicas
from tests.waiting import until


class Seen:
    """What a screen has taken in."""

    def __init__(self, fleet: FleetSource) -> None:
        self._fleet = fleet
        self.rows: dict[str, RequestRecord] = {}
        self.order: list[str] = []

    def is_over(self, request_id: str) -> bool:
        return request_id in self.look() and not self.rows[request_id].is_live

    def look(self) -> list[str]:
        self._fleet.drain()
        for record in self._fleet.changed():
            if record.request_id not in self.rows:
                self.order.append(record.request_id)
            self.rows[record.request_id] = record
        return self.order


async def test_what_was_there_is_one_list_in_the_order_of_time_each_request_once() -> None:
    async with replicas("box-1", "box-2", "box-3") as running:
        for number, name in enumerate(["box-3", "box-1", "box-2", "box-1", "box-3"]):
            running.gateways[name].bus.publish(came(f"r{number}", at=float(number)))
        async with attached(running, "box-1") as fleet:
            seen = Seen(fleet)
            await until(lambda: len(seen.look()) == 5)

            assert seen.order == ["r0", "r1", "r2", "r3", "r4"]
            names = [seen.rows[name].replica for name in seen.order]
            assert names == ["box-3", "box-1", "box-2", "box-1", "box-3"]
            assert [record.seq for record in seen.rows.values()] == [0, 1, 2, 3, 4]
            assert fleet.stats.requests == 5
            assert fleet.stats.in_flight == 5

            running.gateways["box-2"].bus.publish(ended("r2"))
            await until(lambda: seen.is_over("r2"))
            assert (fleet.stats.in_flight, fleet.stats.failed) == (4, 1)
            assert len(seen.order) == 5


async def test_one_joins_and_one_dies_and_every_request_is_there_once() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        seen = Seen(fleet)
        running.gateways["box-2"].bus.publish(came("under-way", at=1.0))
        await until(lambda: "under-way" in seen.look())

        third = await running.start("box-3")
        third.bus.publish(came("third", at=3.0))
        await until(lambda: "third" in seen.look(), seconds=10)

        await running.end("box-2")
        running.bury("box-2")
        await until(lambda: seen.is_over("under-way"), seconds=10)
        third.bus.publish(came("after", at=4.0))
        await until(lambda: "after" in seen.look())

        assert seen.order == ["under-way", "third", "after"]
        assert seen.rows["under-way"].replica == "box-2"
        assert seen.rows["under-way"].error_code == LOST
        assert [one.is_dead for one in fleet.fleet.replicas] == [False, True, False]
        assert (fleet.status, fleet.stats.requests) == ("live", 3)
        assert fleet.stats.in_flight == 2
        assert len(fleet.requests) == 3

        again = await running.start("box-2")
        again.bus.publish(came("again", at=5.0))
        await until(lambda: "again" in seen.look(), seconds=10)
        assert seen.rows["again"].replica == "box-2"
        assert [one.is_dead for one in fleet.fleet.replicas] == [False, False, False]


async def test_the_fleet_is_seen_on_when_the_one_that_was_attached_to_dies() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        seen = Seen(fleet)
        await running.end("box-1")
        running.bury("box-1")
        running.gateways["box-2"].bus.publish(came("later"))
        await until(lambda: "later" in seen.look())
        await until(lambda: [one.is_dead for one in fleet.fleet.replicas] == [True, False], 10)

        assert fleet.status == "live"
        await fleet.command(SwitchBackend(backend="a", enabled=False))
        assert not running.gateways["box-2"].registry.snapshots()[0].enabled


async def test_one_that_leaves_in_order_is_no_replica_any_more_and_its_requests_stay() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        seen = Seen(fleet)
        running.gateways["box-2"].bus.publish(came("its-own"))
        await until(lambda: "its-own" in seen.look())

        await running.end("box-2")
        del running.roster.replicas["box-2"]
        await until(lambda: [one.name for one in fleet.fleet.replicas] == ["box-1"], seconds=10)

        assert fleet.stats.requests == 1
        assert fleet.requests.get("its-own") is not None


async def test_a_replica_without_an_address_is_told_of() -> None:
    async with replicas("box-1") as running:
        roster = running.roster
        roster.replicas["box-2"] = roster.replicas["box-1"].__class__(name="box-2")
        async with attached(running, "box-1") as fleet:
            assert fleet.fleet.replicas[1].problem == "no address: set [fleet] advertise there"


async def test_one_that_is_alone_says_so_itself_and_knows_the_others_as_they_were() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        running.roster.alone["box-1"] = 12.0
        await until(lambda: fleet.fleet.replicas[0].alone_since == 12.0, seconds=10)

        assert fleet.fleet.replicas[1].alone_since is None
        assert fleet.last_roll.here == "box-2"


# Numbers ------------------------------------------------------------------------------------------


async def test_load_and_queue_are_sums_and_a_backend_is_as_ill_as_where_it_is_worst() -> None:
    async with replicas("box-1", "box-2", "box-3") as running, attached(running, "box-1") as fleet:
        for gateway in running.gateways.values():
            gateway.registry.acquire("a")
        running.gateways["box-3"].registry.cooldowns.unreachable("b", "connection refused")
        await until(lambda: fleet.backends()[0].in_flight == 3)
        await until(lambda: fleet.backends()[1].cooldown is not None)

        cooldown = fleet.backends()[1].cooldown
        assert cooldown is not None
        assert cooldown.why == "box-3: connection refused"
        assert fleet.queue is not None
        assert fleet.queue.max_size == 21
        assert fleet.counted_before(Window.START) is None
        for gateway in running.gateways.values():
            gateway.registry.release("a")


async def test_what_has_not_changed_is_the_same_object_again() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        stats, backends = fleet.stats, fleet.backends()

        assert fleet.stats is stats
        assert all(one is other for one, other in zip(fleet.backends(), backends, strict=True))


# Commands -----------------------------------------------------------------------------------------


async def test_what_each_has_of_its_own_is_done_by_all_and_the_outcome_names_them() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        outcome = await fleet.command(CaptureBodies(enabled=True))

        assert all(gateway.captures.is_on for gateway in running.gateways.values())
        assert outcome.message.endswith("(box-1, box-2)")
        probed = await fleet.command(ProbeBackend(backend="a"))
        assert "box-1" in probed.message
        assert "box-2" in probed.message


async def test_a_switch_goes_to_one_which_tells_the_others() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        await fleet.command(SetTier(backend="a", tier=3))
        await fleet.command(SwitchZone(zone=PrivacyZone.OPEN, enabled=False))

        first, second = running.gateways.values()
        assert [one.registry.snapshots()[0].tier for one in (first, second)] == [3, None]
        assert not first.registry.is_zone_enabled(PrivacyZone.OPEN)
        assert second.registry.is_zone_enabled(PrivacyZone.OPEN)


async def test_a_cut_also_goes_directly_to_those_that_no_switch_reaches() -> None:
    async with replicas("box-1", "box-2", "box-3") as running, attached(running, "box-1") as fleet:
        running.roster.alone["box-3"] = 1.0
        await until(lambda: fleet.fleet.replicas[2].alone_since is not None, seconds=10)

        await fleet.command(SwitchZone(zone=PrivacyZone.OPEN, enabled=False))

        is_open = [
            gateway.registry.is_zone_enabled(PrivacyZone.OPEN)
            for gateway in running.gateways.values()
        ]
        assert is_open == [False, True, False]


async def test_a_zone_is_cut_once_every_replica_has_cut_it() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        first, second = running.gateways.values()
        cut = SwitchZone(zone=PrivacyZone.OPEN, enabled=False)
        await first.operator.execute(cut, OPERATOR)
        await until(lambda: not fleet.seed.is_zone_enabled(PrivacyZone.OPEN))
        assert fleet.is_zone_enabled(PrivacyZone.OPEN)

        await second.operator.execute(cut, OPERATOR)
        await until(lambda: not fleet.is_zone_enabled(PrivacyZone.OPEN))


async def test_a_request_is_replayed_where_it_is_kept() -> None:
    async with replicas("box-1", "box-2") as running, attached(running, "box-1") as fleet:
        running.gateways["box-2"].bus.publish(came("there"))
        seen = Seen(fleet)
        await until(lambda: "there" in seen.look())

        with pytest.raises(NexusError, match="captured"):
            await fleet.command(ReplayRequest(request_id="there", backend="a"))
        with pytest.raises(NexusError, match="replica is gone"):
            await fleet.command(ReplayRequest(request_id="nowhere", backend="a"))


async def test_a_screen_that_may_only_look_changes_nothing() -> None:
    async with (
        replicas("box-1", "box-2") as running,
        attached(running, "box-1", is_read_only=True) as fleet,
    ):
        with pytest.raises(PermissionDeniedError):
            await fleet.command(CaptureBodies(enabled=True))
