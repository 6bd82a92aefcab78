"""The fleet as another Nexus tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.observe.event_json import UnreadableError
from nexus_tui.sources.fleet.replica import named, read_roll

FLEET: dict[str, Any] = {"replica": "box-2", "alone_since": None, "open_zone_lease_seconds": 0.5}


def entry(name: str, **more: object) -> dict[str, object]:
    told: dict[str, object] = {
        "name": name,
        "address": f"http://{name}:8000",
        "version": "1",
        "last_beat_seconds": 0.25,
        "switches": 3,
    }
    return told | more


def test_replicas_are_read_in_order_of_their_names() -> None:
    told = {"at": 100.0, "fleet": FLEET, "replicas": [entry("box-2"), entry("box-1", dead=True)]}

    roll = read_roll(told)

    assert (roll.here, roll.lease_seconds, roll.keeps_open) == ("box-2", 0.5, False)
    assert [(one.name, one.is_dead) for one in roll.replicas] == [("box-1", True), ("box-2", False)]
    assert (roll.replicas[1].beat_at, roll.replicas[1].address) == (99.75, "http://box-2:8000")
    assert roll.get("box-9") is None


def test_workers_of_a_replica_are_one_which_lags_as_the_last_of_them() -> None:
    workers = [
        entry("box-1", worker=1, switches=5),
        entry("box-1", worker=2, switches=4, differs=["config"]),
        entry("box-1", worker=3, dead=True, switches=1),
    ]

    (one,) = read_roll({"at": 9.0, "fleet": FLEET, "replicas": workers}).replicas

    assert (one.switches, one.is_dead, one.differs) == (4, False, True)


def test_another_version_is_no_other_configuration() -> None:
    told = {"at": 9.0, "fleet": FLEET, "replicas": [entry("box-1", differs=["version"])]}

    assert not read_roll(told).replicas[0].differs


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"at": 1.0, "fleet": {}, "replicas": []},
        {"at": 1.0, "fleet": FLEET, "replicas": {}},
        {"at": 1.0, "fleet": FLEET, "replicas": [{}]},
        {"at": "now", "fleet": FLEET, "replicas": []},
    ],
)
def test_what_is_no_fleet_is_refused(told: object) -> None:
    with pytest.raises(UnreadableError):
        read_roll(told)


def test_many_names_are_shortened() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d and 2 more"
