"""A fixed fleet of three replicas, as a screen that was attached to the first one shows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from nexus_core import __version__
from nexus_core.control.actions import Deed
from nexus_core.control.commands import Command, Outcome, SwitchZone
from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_core.types import Actor, Via
from nexus_tui.sources.fleet.part import Part
from nexus_tui.sources.fleet.replica import Replica, Roll
from nexus_tui.sources.fleet.source import FleetSource
from nexus_tui.sources.local import LocalSource
from nexus_tui.sources.remote import RemoteSource
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import STORIES, publish
from tests.tui.staged import Stage, make_stage

NAMES = ("box-1", "box-2", "box-3")
_OTHERS = {"box-2": "b", "box-3": "c"}  # what their request ids begin with


def replica(name: str, **more: object) -> Replica:
    known: dict[str, object] = {
        "name": name,
        "address": f"http://10.0.0.{name[-1]}:8000",
        "version": __version__,
        "beat_at": NOW - 0.1,
        "switches": 4,
    }
    return Replica(**{**known, **more})  # type: ignore[arg-type]


class StagedFleet(FleetSource):
    """A fleet of sources that a test has made; what others are told stays as it is set."""

    def __init__(self, stages: dict[str, Stage]) -> None:
        roll = Roll("box-1", tuple(replica(name) for name in stages))
        super().__init__(stages["box-1"].source, roll, _never)
        for name, stage in list(stages.items())[1:]:
            self.parts[name] = Part(replica(name), stage.source)
        self.seed_part.told = replica("box-1")

    def tell(self, name: str, **changes: object) -> None:
        """What the fleet tells of a replica from now on."""
        self.parts[name].told = replica(name, **changes)

    def take_away(self, name: str) -> None:
        """Nothing is seen of it any more."""
        part = self.parts[name]
        self.requests_of.lose(name, NOW)
        part.end(time.monotonic())

    async def command(self, command: Command) -> Outcome:
        """As the store carries it on, to the second one only."""
        outcome = await super().command(command)
        if isinstance(command, SwitchZone):
            source = self.parts["box-2"].source
            assert isinstance(source, LocalSource)
            await source.command(command)
        return outcome


def _never(replica: Replica) -> RemoteSource:
    raise AssertionError("no replica is opened")


@dataclass
class Three:
    """The fleet, and the stage of each replica."""

    fleet: StagedFleet
    stages: dict[str, Stage]


def make_three(names: Sequence[str] = NAMES) -> Three:
    """The fixed minute at the first one, its last seconds at the others as well."""
    stages = {name: make_stage(has_costs=True, plays=name == "box-1") for name in names}
    for name, letter in ((name, _OTHERS[name]) for name in names if name in _OTHERS):
        gateway = stages[name].gateway
        gateway.registry.set_enabled("lmstudio", False)
        for number, story in enumerate(STORIES[-24:]):
            publish(gateway, f"{letter}{0x7000 + number:x}", story)
    return Three(StagedFleet(stages), stages)


def trouble(three: Three) -> None:
    """One has died, one is alone; a backend is down where it alone can't be reached."""
    three.fleet.tell("box-3", is_dead=True, beat_at=NOW - 64)
    three.fleet.take_away("box-3")
    three.fleet.tell("box-2", alone_since=NOW - 7, differs=True)
    three.stages["box-2"].gateway.registry.record_refused_key("openai", "401: check OPENAI_API_KEY")


def half_cut(three: Three) -> None:
    """Two have cut the open zone, the third one is silent."""
    three.fleet.tell("box-3", beat_at=NOW - 4.2, switches=3)
    three.fleet.take_away("box-3")
    alice = Actor(via=Via.ATTACHED, name="alice", address="10.0.0.5")
    for name in ("box-1", "box-2"):
        three.stages[name].gateway.cut_open_zone()
        three.fleet.tell(name, switches=5)
    actions = three.stages["box-1"].gateway.actions
    actions.note(alice, Deed("zone_cut", "open", "cut the open zone"), effect="told to box-2")
    elsewhere = Deed("zone_cut", "open", "cut the open zone, on box-1")
    three.stages["box-2"].gateway.actions.note(alice, elsewhere)


def logs_of_three() -> LogRing:
    """Lines of all three, not in the order of their time."""
    ring = LogRing()
    for ago, name, text in (
        (9.0, "box-1", "listening"),
        (5.0, "box-3", "late"),
        (7.0, "box-2", "x"),
    ):
        line = LogLine(NOW - ago, "info", "nexus_core.api", f"{text} on its port", None, name)
        ring.add(line)
    return ring
