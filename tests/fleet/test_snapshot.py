from __future__ import annotations

import time
from typing import Any

import pytest

from nexus_core.fleet.snapshot_json import read_snapshot, snapshot_as_json
from nexus_core.types import BackendState, HealthCause, HealthStatus
from nexus_tui.widgets.cells.backends import STATE_CELLS
from tests.made_up_backends import MODEL, cooldown, snapshot

NOW = time.monotonic()
LATER, BEFORE = NOW + 3600.0, NOW - 1.0
SICK = {"health": HealthStatus.UNHEALTHY}

STATES: list[tuple[dict[str, Any], BackendState, bool]] = [
    ({}, BackendState.HEALTHY, True),
    ({"health": HealthStatus.UNKNOWN}, BackendState.UNKNOWN, True),
    ({"max_concurrent": 4, "in_flight": 4}, BackendState.FULL, True),
    ({"enabled": False}, BackendState.OFF, False),
    ({"enabled": False, "in_flight": 1}, BackendState.DRAINING, False),
    ({"zone_enabled": False}, BackendState.OFF, False),
    ({"enabled": False, **SICK}, BackendState.OFF, False),
    (SICK, BackendState.DOWN, False),
    ({**SICK, "cause": HealthCause.AUTH}, BackendState.AUTH, False),
    ({**SICK, "cooldown": cooldown(LATER)}, BackendState.DOWN, False),
    ({"cooldown": cooldown(LATER)}, BackendState.COOLDOWN, False),
    (
        {"health": HealthStatus.UNKNOWN, "cooldown": cooldown(LATER)},
        BackendState.COOLDOWN,
        False,
    ),
    ({"cooldown": cooldown(BEFORE, is_circuit_open=True)}, BackendState.HALF_OPEN, True),
    ({"cooldown": cooldown(BEFORE)}, BackendState.HEALTHY, True),
    ({"cooldowns": {MODEL: cooldown(LATER)}}, BackendState.HEALTHY, True),
]


@pytest.mark.parametrize(("changes", "state", "is_usable"), STATES)
def test_screen_and_json_say_the_same_of_a_backend(
    changes: dict[str, Any], state: BackendState, is_usable: bool
) -> None:
    backend = snapshot(**changes)

    told = snapshot_as_json(backend, NOW)
    elsewhere = read_snapshot(told, NOW)

    assert (told["state"], told["is_usable"]) == (state, is_usable)
    assert (backend.state(NOW), backend.is_usable(NOW)) == (state, is_usable)
    assert (elsewhere.state(NOW), elsewhere.is_usable(NOW)) == (state, is_usable)


def test_every_state_has_a_cell_of_its_own() -> None:
    cells = set(STATE_CELLS.values())

    assert len(cells) == len(STATE_CELLS) == len(BackendState)
    assert all(len(text) <= 9 for text, _ in cells)
