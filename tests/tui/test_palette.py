"""The command palette: nouns with arguments, and the questions that their keys ask, too."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from nexus_core.observe.windows.window import Window
from nexus_core.types import PrivacyZone
from nexus_tui.actions.palette import _THEMES
from nexus_tui.app import NexusApp
from nexus_tui.draw.theme import THEMES
from nexus_tui.screens.dialog import Choose
from nexus_tui.screens.palette import Palette
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import Stage, make_stage
from tests.waiting import until


def make(stage: Stage | None = None) -> NexusApp:
    return NexusApp((stage or make_stage(has_costs=True)).source, now=fixed_now)


async def command(pilot: Pilot[None], text: str) -> str:
    """Type a command after `:` and enter it."""
    await press(pilot, ":")
    app = pilot.app
    assert isinstance(app.screen, Palette)
    app.screen._entry.value = text
    await pilot.pause()
    return await press(pilot, "enter")


async def test_a_filter_is_set_on_the_list_that_is_shown() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        await command(pilot, "filter vllm")
        backends = app.tabs.backends.table.typed.current.text
        await press(pilot, "4")
        await command(pilot, "filter status:5xx")
        await until(lambda: app.tab.id == "requests")

    assert backends == "vllm"
    assert app.view.filter.text == "status:5xx"


async def test_a_filter_that_is_wrong_is_not_taken_and_told() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        text = await command(pilot, "filter staus:5xx")
        is_open = isinstance(app.screen, Palette)

    assert "status" in text
    assert is_open
    assert app.view.filter.text == ""


async def test_theme_window_and_sort_take_a_word() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await command(pilot, "theme nexus-light")
        await command(pilot, "window 1h")
        await press(pilot, "2")
        await command(pilot, "sort cost")

        assert app.theme == "nexus-light"
        assert app.view.window is Window.HOUR
        assert app.tabs.requests.list.sorting.column == "cost"


def test_every_theme_is_offered() -> None:
    assert tuple(_THEMES) == THEMES


async def test_switching_off_asks_here_too_where_a_model_would_be_lost() -> None:
    by_key, by_name = make(), make()

    async with by_key.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "space")
        await until(lambda: isinstance(by_key.screen, Choose))
        await pilot.pause()
        asked = screen_text(by_key)
        chosen = by_key.tabs.backends.table.selected
        assert chosen is not None
        name = chosen.snapshot.name
    async with by_name.run_test(size=(120, 36)) as pilot:
        await command(pilot, f"backend {name} off")
        await until(lambda: isinstance(by_name.screen, Choose))
        await pilot.pause()

        assert f"Switch {name} off?" in asked
        assert f"Switch {name} off?" in screen_text(by_name)


async def test_cutting_a_backend_asks_whatever_the_cursor_is_on() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await command(pilot, "backend vllm-a cut")
        await until(lambda: isinstance(app.screen, Choose))
        await pilot.pause()

        assert "Cut vllm-a?" in screen_text(app)


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("backend vllm-a tier 2", "tier", 2),
        ("backend vllm-a tier none", "tier", None),
        ("backend vllm-a priority 70", "priority", 70),
    ],
)
async def test_tier_and_priority_are_set_at_once(typed: str, key: str, value: int | None) -> None:
    stage = make_stage()
    sent = []
    carried_out = stage.source.command

    async def command_(wanted: object) -> object:
        sent.append(wanted)
        return await carried_out(wanted)  # type: ignore[arg-type]

    stage.source.command = command_  # type: ignore[method-assign, assignment]
    app = make(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await command(pilot, typed)
        await until(lambda: len(sent) == 1)

    assert getattr(sent[0], "backend", None) == "vllm-a"
    assert getattr(sent[0], key) == value


@pytest.mark.parametrize("typed", ["backend vllm-a", "backend VLLM-A", "vllm-a"])
async def test_a_backend_s_name_leads_to_its_row(typed: str) -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "/", *"ollama", "enter", "1")
        await command(pilot, typed)
        await until(lambda: app.tab.id == "backends")
        chosen = app.tabs.backends.table.selected

    assert chosen is not None
    assert chosen.snapshot.name == "vllm-a"


async def test_a_model_s_name_leads_to_its_requests() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await command(pilot, "model llama3:8b")
        await until(lambda: app.tab.id == "requests")

    assert "llama3:8b" in app.view.filter.text
    assert app.view.filter.text.startswith("model:")


async def test_a_zone_is_cut_by_its_name_and_reopening_asks() -> None:
    stage = make_stage()
    app = make(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await command(pilot, "zone open cut")
        await until(lambda: not stage.source.is_zone_enabled(PrivacyZone.OPEN))
        await command(pilot, "zone open cut")
        await until(lambda: "is cut already" in screen_text(app))
        await command(pilot, "zone open on")
        await until(lambda: isinstance(app.screen, Choose))

        assert not stage.source.is_zone_enabled(PrivacyZone.OPEN)


async def test_tab_completes_and_enter_on_half_a_command_does_too() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, ":", *"windo", "enter")
        assert isinstance(app.screen, Palette)
        half = app.screen._entry.value
        await press(pilot, *"1h", "tab")
        whole = app.screen._entry.value

    assert half == "window "
    assert whole == "window 1h "


async def test_what_is_called_nothing_is_told() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, ":", *"pannic")

    assert 'Nothing is called "pannic". Did you mean panic?' in text


async def test_a_read_only_dashboard_changes_nothing_by_name_either() -> None:
    stage = make_stage()
    stage.source.is_read_only = True
    app = make(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await command(pilot, "backend vllm-a off")
        await until(lambda: "read-only" in screen_text(app).splitlines()[-1])


async def test_what_is_typed_in_one_go_after_the_colon_reaches_no_key_of_the_tab() -> None:
    app = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2")
        for key in ("colon", *"cKD"):
            app.simulate_key(key)
        await until(lambda: isinstance(app.screen, Palette))
        await pilot.pause()

        assert len(app.screen_stack) == 2
        assert isinstance(app.screen, Palette)
