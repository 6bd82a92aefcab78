"""The lease of the open zone: it holds by when a beat was sent, and by nothing else."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.state.base import Link
from nexus_core.state.valkey.open_zone import OpenZone

LEASE = 1.0


@dataclass
class World:
    """A process with a clock of its own, and what the store lets it hear."""

    at: float = 100.0
    restores: bool = False
    is_understood: bool = True
    closings: list[bool] = field(default_factory=list)

    def zone(self) -> OpenZone:
        link = cast(Link, self)
        return OpenZone(link, LEASE, self.closings.append, lambda: self.at)


# Seconds that pass, and then: a beat is sent, its answer comes, or bytes want to leave.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.99, 1.0, 1.01, 10.0]),
        st.sampled_from(["send", "hear", "hear in quarantine", "cut off", "ask"]),
    ),
    max_size=60,
)


@given(STEPS)
def test_bytes_leave_only_within_a_lease_of_a_beat_that_was_answered(
    steps: list[tuple[float, str]],
) -> None:
    world = World()
    zone = world.zone()
    sent: list[float] = []  # not answered yet
    granted: list[float] = []  # when the answered beats were sent

    for seconds, step in steps:
        world.at += seconds
        match step:
            case "send":
                sent.append(world.at)
            case "hear" | "hear in quarantine" if sent:
                world.restores = step != "hear"
                when = sent.pop(0)
                if not world.restores:
                    granted.append(when)
                zone.accept({}, when)
            case "cut off":
                zone.cut_off(world.at)
            case _:
                may = any(world.at < when + LEASE for when in granted)
                assert zone.permits() == may

    told = world.closings
    assert told[0] is True
    assert all(before != after for before, after in itertools.pairwise(told))


def heard(world: World, zone: OpenZone, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(world, name, value)
    zone.accept({}, world.at)


def test_a_beat_whose_switches_can_not_be_read_renews_nothing() -> None:
    world = World()
    zone = world.zone()
    heard(world, zone)
    assert zone.permits()

    heard(world, zone, at=world.at + LEASE / 2, is_understood=False)
    world.at += LEASE / 2
    assert not zone.permits()
    heard(world, zone, is_understood=True)
    assert zone.permits()


def test_a_lapse_is_told_at_the_moment_somebody_asks() -> None:
    world = World()
    zone = world.zone()
    heard(world, zone)
    world.at += LEASE

    assert world.closings == [True, False]
    assert not zone.permits()
    assert world.closings == [True, False, True]


def test_an_answer_later_than_the_lease_grants_nothing() -> None:
    world = World()
    zone = world.zone()
    zone.accept({}, world.at - LEASE)

    assert not zone.permits()
    assert world.closings == [True]


def test_in_quarantine_it_runs_out_and_is_not_renewed() -> None:
    world = World()
    zone = world.zone()
    heard(world, zone)
    for _ in range(5):
        world.at += LEASE / 4
        heard(world, zone, restores=True)

    assert not zone.permits()
    heard(world, zone, restores=False)
    assert zone.permits()
