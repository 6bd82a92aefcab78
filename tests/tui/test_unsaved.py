"""What differs from the file: marked at the row, counted in the status line, saved by choice."""

from __future__ import annotations

import pytest

from nexus_core.control.commands import Command, Outcome, SaveConfig
from nexus_core.control.unsaved import Unsaved, as_json
from nexus_tui.app import NexusApp
from nexus_tui.screens.save import SaveScreen
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import Stage, make_stage
from tests.waiting import until

UNSAVED = (
    Unsaved(id="vllm-a.priority", backend="vllm-a", key="priority", now=70, file=90),
    Unsaved(id="local-llama.enabled", backend="local-llama", key="enabled", now=False, file=True),
)


def make_unsaved() -> tuple[NexusApp, Stage, list[Command]]:
    stage = make_stage(has_costs=True)
    stage.gateway.unsaved = UNSAVED
    sent: list[Command] = []

    async def save(command: Command) -> Outcome:
        sent.append(command)
        assert isinstance(command, SaveConfig)
        ids = [one.id for one in UNSAVED] if command.only is None else command.only
        lines = tuple(f"+{name}" for name in ids)
        return Outcome(message="done", lines=lines, data={"changes": as_json(UNSAVED)})

    stage.source.command = save  # type: ignore[method-assign]
    return NexusApp(stage.source, now=fixed_now), stage, sent


@pytest.mark.parametrize("tab", "123456")
@pytest.mark.parametrize(("width", "shown"), [(120, "2 unsaved"), (80, "2*")])
async def test_the_status_line_counts_them_on_every_tab(tab: str, width: int, shown: str) -> None:
    app, stage, _ = make_unsaved()

    async with app.run_test(size=(width, 30)) as pilot:
        top = (await press(pilot, tab)).splitlines()[0]
        stage.gateway.unsaved = ()
        app.paint_soon()
        await until(lambda: shown not in screen_text(app).splitlines()[0])

    assert shown in top


async def test_the_row_and_the_value_are_marked() -> None:
    app, stage, _ = make_unsaved()

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "3")
        rows = {
            name: next(line for line in text.splitlines()[3:12] if f" {name}" in line)
            for name in ("vllm-a", "local-llama")
        }
        stage.gateway.unsaved = ()
        app.paint_soon()
        await until(lambda: "vllm-a*" not in screen_text(app))

    assert "vllm-a*" in rows["vllm-a"]
    assert rows["vllm-a"].count("*") == 2  # the name, and the priority
    assert "local-llama*" in rows["local-llama"]
    assert rows["local-llama"].split("local-llama")[0].rstrip().endswith("*")  # its state


async def test_the_backend_says_what_the_file_has() -> None:
    app, _, _ = make_unsaved()

    async with app.run_test(size=(120, 36)) as pilot:
        app.tabs.backends.show("vllm-a")
        text = await press(pilot, "3")

    assert "priority 70, 90 in the file" in text
    assert "S saves it" in text


@pytest.mark.parametrize("tab", "346")
async def test_s_asks_which_of_them_are_written(tab: str) -> None:
    app, _, sent = make_unsaved()

    async with app.run_test(size=(120, 36)) as pilot:
        asked = await press(pilot, tab, "S")
        await press(pilot, "k", "space")
        await until(lambda: "+vllm-a.priority" in screen_text(app))
        await until(lambda: "+local-llama.enabled" not in screen_text(app))
        fewer = screen_text(app)
        await press(pilot, "y")
        await until(lambda: len(sent) == 3)

    assert "[x] vllm-a: priority 70, 90 in the file" in asked
    assert "[x] local-llama: off, on in the file" in asked
    assert "1 of 2" in fewer
    assert sent == [
        SaveConfig(only_plan=True),
        SaveConfig(only_plan=True, only=("vllm-a.priority",)),
        SaveConfig(only=("vllm-a.priority",)),
    ]


async def test_all_of_them_are_one_command_and_no_is_the_default() -> None:
    app, _, sent = make_unsaved()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "S", "enter")
        assert not isinstance(app.screen, SaveScreen)
        await press(pilot, "S", "down", "enter")
        await until(lambda: len(sent) == 3)

    assert sent[-1] == SaveConfig()


async def test_nothing_marked_writes_nothing() -> None:
    app, _, sent = make_unsaved()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "S", "a")
        await until(lambda: "nothing is marked" in screen_text(app))
        await press(pilot, "y")

        assert isinstance(app.screen, SaveScreen)
    assert SaveConfig(only=()) not in sent


async def test_a_click_on_their_number_asks_from_any_tab() -> None:
    app, _, _ = make_unsaved()

    async with app.run_test(size=(120, 36)) as pilot:
        top = (await press(pilot, "2")).splitlines()[0]
        await pilot.click("#status", offset=(top.index("2 unsaved") + 3, 0))
        await until(lambda: isinstance(app.screen, SaveScreen))


async def test_the_palette_saves_from_any_tab() -> None:
    app, _, _ = make_unsaved()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", ":", *"save", "enter")
        await until(lambda: isinstance(app.screen, SaveScreen))
