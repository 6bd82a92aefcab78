from __future__ import annotations

import time
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, ServerConfig
from nexus_core.fleet.snapshot import first_byte_seconds, first_snapshot
from nexus_core.fleet.snapshot_json import read_snapshot, snapshot_as_json
from nexus_core.types import BackendState, HealthCause, HealthStatus, PrivacyZone
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


@pytest.mark.parametrize(
    ("own", "server", "kind", "seconds"),
    [
        (None, None, BackendType.OLLAMA, 240),
        (None, None, BackendType.GENERIC, 240),
        (None, None, BackendType.ANTHROPIC, 60),
        (None, 30, BackendType.OLLAMA, 30),
        (None, 90, BackendType.OPENAI, 90),
        (500, 30, BackendType.OLLAMA, 500),
        (5, None, BackendType.OPENAI, 5),
    ],
)
def test_the_nearest_limit_for_the_first_byte_counts(
    own: float | None, server: float | None, kind: BackendType, seconds: float
) -> None:
    config = BackendConfig(
        name="a",
        url="http://127.0.0.1:1",
        type=kind,
        zone=PrivacyZone.RESTRICTED,
        first_byte_timeout_seconds=own,
    )
    limits = ServerConfig(first_byte_timeout_seconds=server)

    assert first_byte_seconds(first_snapshot(config), limits) == seconds


def test_every_local_type_may_read_a_long_prompt_before_claude_code_gives_up() -> None:
    limits = {kind.spec.first_byte_timeout_seconds for kind in BackendType if not kind.is_cloud}

    assert limits == {240}
