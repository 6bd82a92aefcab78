"""What a newcomer sees without a backend: all of it, in what order, and what the keys do."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from nexus_core.catalog import BackendType
from nexus_core.config.schema import UnusableBackend
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.types import PrivacyZone
from nexus_tui.sources.base import FoundKey
from nexus_tui.widgets.welcome import Welcome
from tests.tui.screen import press, screen_text, still
from tests.tui.staged import FixedDiscovery, make_stage
from tests.tui.test_states import make_app
from tests.waiting import until


async def test_the_empty_screen_shows_what_was_looked_for() -> None:
    stage = make_stage(is_empty=True, finds=True)
    app = make_app(stage)

    async with app.run_test(size=(80, 24)) as pilot:
        shown = await still(pilot)

    assert "127.0.0.1:11434" in shown
    assert "this is Nexus" in shown
    assert "OPENAI_API_KEY" in shown
    assert "o adds OpenAI" in shown


async def test_the_newcomer_s_screen_is_whole_on_a_small_terminal() -> None:
    app = make_app(make_stage(is_empty=True, finds=True))

    async with app.run_test(size=(80, 24)) as pilot:
        shown = await still(pilot)

    for part in ("S writes nexus.toml", "127.0.0.1:52415", "GOOGLE_API_KEY", '"content": "hi"'):
        assert part in shown
    assert "lines below" not in shown


@pytest.mark.parametrize("down", [("pagedown", "pagedown"), ("down",) * 12, ("G",)])
async def test_what_has_no_room_on_the_newcomer_s_screen_is_scrolled_to(
    down: tuple[str, ...],
) -> None:
    app = make_app(make_stage(is_empty=True, finds=True))

    async with app.run_test(size=(59, 14)) as pilot:
        first = await still(pilot)
        last = await press(pilot, *down)
        again = await press(pilot, "g")

    assert "S writes nexus.toml" in first
    assert "10 lines below" in first
    assert "curl" not in first
    assert "OPENAI_API_KEY" in last
    assert "curl" in last
    assert "10 lines above" in last
    # The last line may show a notice meanwhile.
    assert again.splitlines()[:-1] == first.splitlines()[:-1]


async def test_the_wheel_scrolls_the_newcomer_s_screen() -> None:
    app = make_app(make_stage(is_empty=True, finds=True))

    async with app.run_test(size=(59, 14)) as pilot:
        await pilot.pause()
        await pilot._post_mouse_events([MouseScrollDown], Welcome, offset=(10, 3))
        await until(lambda: "3 lines above, 7 lines below" in screen_text(app))
        await pilot._post_mouse_events([MouseScrollUp], Welcome, offset=(10, 3))
        await until(lambda: "── 10 lines below" in screen_text(app))


async def test_why_backends_are_unusable_comes_first() -> None:
    stage = make_stage(is_empty=True)
    unusable = tuple(
        UnusableBackend(
            name=f"cloud-{n}",
            type=BackendType.OPENAI,
            zone=PrivacyZone.OPEN,
            why=f"KEY_{n} is not set; export it or remove the backend",
        )
        for n in range(3)
    )
    config = stage.gateway.config
    stage.gateway.config = config.model_copy(
        update={"path": Path("nexus.toml"), "unusable": unusable}
    )
    app = make_app(stage)

    async with app.run_test(size=(59, 14)) as pilot:
        shown = await still(pilot)

    for n in range(3):
        assert f"cloud-{n}: KEY_{n} is not set" in shown


@pytest.mark.parametrize(
    ("keys", "used"),
    [(("2",), "ANTHROPIC_API_KEY"), (("enter",), "OPENAI_API_KEY"), (("escape",), None)],
)
async def test_with_several_cloud_keys_o_asks_which(
    keys: tuple[str, ...], used: str | None
) -> None:
    stage = make_stage(is_empty=True)
    stage.source.discovery = discovery = FixedDiscovery("ANTHROPIC_API_KEY")
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await still(pilot)
        asked = await press(pilot, "o")
        nothing_yet = not any(key.is_used for key in discovery.keys)
        await press(pilot, *keys)

    assert "set    o offers OpenAI" in shown
    assert "set    o offers Anthropic" in shown
    assert "Add a backend" in asked
    assert "by ANTHROPIC_API_KEY" in asked
    assert nothing_yet
    assert [key.variable for key in discovery.keys if key.is_used] == ([used] if used else [])


async def test_each_of_many_cloud_keys_is_chosen_by_one_key() -> None:
    stage = make_stage(is_empty=True)
    stage.source.discovery = discovery = FixedDiscovery()
    discovery.keys = tuple(
        FoundKey(title=f"Cloud {n}", variable=f"KEY_{n}", is_set=True) for n in range(1, 14)
    )
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        asked = await press(pilot, "o")
        await press(pilot, "d")

    assert "d     Cloud 13, zone open  by KEY_13" in asked
    assert [key.variable for key in discovery.keys if key.is_used] == ["KEY_13"]


async def test_a_single_cloud_key_is_used_by_o_and_offered_by_plus() -> None:
    stage = make_stage(is_empty=True, finds=True)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        asked = await press(pilot, "3", "+")
        await press(pilot, "escape", "1", "o")
        await until(lambda: "OPENAI_API_KEY is used until restart" in screen_text(app))
        again = await press(pilot, "o")

    assert "by OPENAI_API_KEY" in asked
    assert "no unused cloud key in the environment" in again


async def test_a_found_backend_takes_the_newcomer_s_screen_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = make_stage(is_empty=True, finds=True)
    found: tuple[BackendSnapshot, ...] = ()
    monkeypatch.setattr(stage.source, "backends", lambda: found)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        assert "Local servers (R" in await still(pilot)
        found = make_stage().source.backends()
        app.painter.paint()
        await until(lambda: "── Live ──" in screen_text(app))
        assert "Local servers (R" not in screen_text(app)
