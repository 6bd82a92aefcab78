"""What a cut did while it lasted stands in the record of its end."""

from __future__ import annotations

import pytest

from nexus_core.control.cuts import Cuts, _as_duration
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import Considered
from nexus_core.observe.phases import Phase
from nexus_core.observe.record import DecisionToTell, RequestRecord
from nexus_core.types import HealthStatus, PrivacyZone

RESTRICTED, OPEN = PrivacyZone.RESTRICTED, PrivacyZone.OPEN


def answered(zone: PrivacyZone, status: int = 200) -> RequestRecord:
    return RequestRecord("r", 1.0, backend="a", zone=zone, status=status, ended_at=2.0)


def refused(stage: str, zone: PrivacyZone = OPEN) -> RequestRecord:
    considered = Considered(
        backend="a",
        zone=zone,
        tier=None,
        health=HealthStatus.HEALTHY,
        priority=50,
        position=None,
        dropped_by=stage,
        why="for some reason",
    )
    decision = DecisionToTell((considered,))
    return RequestRecord("r", 1.0, status=503, ended_at=2.0, decision=decision)


def test_what_was_refused_and_what_others_served_is_counted_while_it_lasts() -> None:
    bus, clock = EventBus(), [100.0]
    cuts = Cuts(bus, lambda: clock[0])

    cuts.begin(OPEN, 2)
    for record in (
        answered(RESTRICTED),
        answered(RESTRICTED, 500),
        answered(OPEN),
        refused("enabled"),
        refused("enabled", RESTRICTED),
        refused("zone"),
    ):
        bus.reach(Phase.RECEIVED, record)
        bus.reach(Phase.FINISHED, record)
    cuts.begin(OPEN, 1)
    clock[0] = 352.0
    cut = cuts.end(OPEN)

    assert cut is not None
    effects = "3 requests ended, 1 refused by the cut, 1 answered elsewhere"
    assert cut.told(clock[0]) == f"cut for 4 min 12 s: {effects}"
    bus.reach(Phase.FINISHED, answered(RESTRICTED))
    assert cut.elsewhere == 1
    assert cuts.end(OPEN) is None


def test_a_cut_of_the_restricted_zone_is_told_in_the_same_words() -> None:
    cuts = Cuts(EventBus(), lambda: 0.0)
    cuts.begin(RESTRICTED, 0)

    cut = cuts.end(RESTRICTED)

    assert cut is not None
    assert (
        cut.told(9.0) == "cut for 9 s: 0 requests ended, 0 refused by the cut, 0 answered elsewhere"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (11_100, "3 h 5 min"),
    ],
)
def test_a_duration_is_told_in_two_units(seconds: float, text: str) -> None:
    assert _as_duration(seconds) == text
