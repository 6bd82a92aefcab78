"""What the screen says when something is wrong, or nothing may be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nexus_core.control.commands import (
    Command,
    Outcome,
    ReloadConfig,
    SaveConfig,
)
from nexus_core.errors import ConfigError, ConfigProblem, InvalidRequestError
from nexus_core.money.report import Outbox
from nexus_tui.app import NexusApp
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text, still
from tests.tui.staged import COSTS, Stage, make_logs, make_stage
from tests.waiting import until


class FakeServer:
    """A server that may have died."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem
        self.restarted = 0

    def restart(self) -> None:
        self.restarted += 1
        self.problem = None

    def leave(self) -> None: ...
    def end_running(self) -> None: ...


def make_app(stage: Stage, server: FakeServer | None = None) -> NexusApp:
    return NexusApp(stage.source, now=fixed_now, server=server, logs=make_logs())


COMMANDING = ("!", "ctrl+r", "B", "3", "space", "D", "K", "P", "t", "w", "S")


async def test_a_read_only_dashboard_says_so_and_asks_for_nothing() -> None:
    stage = make_stage()
    stage.source.is_read_only = True
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, *COMMANDING)
        await until(lambda: "read-only dashboard: changes are disabled" in screen_text(app))

    assert "[READ-ONLY]" in shown
    assert stage.gateway.commands == []


async def test_a_lost_link_is_on_the_screen_with_its_age_and_stops_commands() -> None:
    stage = make_stage()
    stage.source.status = "stale"
    stage.source.stale_since = NOW - 12
    stage.source.is_remote = True
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, *COMMANDING)
        assert app.screen.has_class("-stale")
        await until(lambda: "link lost" in screen_text(app))
        stage.source.status = "live"
        app.painter.paint()
        mended = await still(pilot)
        assert not app.screen.has_class("-stale")

    assert "[STALE 12 s]" in shown
    assert "[ATTACHED 127.0.0.1]" in shown
    assert "LINK LOST" in shown
    assert stage.gateway.commands == []
    assert "STALE" not in mended
    assert "LINK LOST" not in mended


async def test_what_the_source_has_to_say_is_on_every_tab() -> None:
    stage = make_stage()
    stage.source.notice = "the server is Nexus 0.9, this is 0.3 [/]"
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        for tab in "123456":
            assert "the server is Nexus 0.9, this is 0.3 [/]" in await press(pilot, tab)


@pytest.mark.parametrize(
    ("waited", "rows", "told"),
    [(59, 1204, None), (61, 1204, "1,204 rows wait"), (61, 1, "1 row waits")],
)
async def test_rows_that_wait_long_for_postgresql_are_on_every_tab(
    waited: int, rows: int, told: str | None
) -> None:
    stage = make_stage()
    outbox = Outbox(
        rows=rows, oldest=NOW - waited, is_fleet=False, problem="PostgreSQL (X): no [/]"
    )
    stage.source.costs = stage.gateway.costs = replace(COSTS, outbox=outbox)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "4")
        costs = await press(pilot, "5")

    line = f"LEDGER: {told} since 14:01:30 for PostgreSQL (X): no [/]"
    assert (line in shown) == (told is not None)
    assert ("LEDGER:" in shown) == (told is not None)
    assert "of this Nexus only: PostgreSQL (X): no [/]" in costs


async def test_a_server_that_died_is_announced_and_started_again() -> None:
    server = FakeServer("OSError; the log (6) has the traceback")
    app = make_app(make_stage(), server)

    async with app.run_test(size=(120, 36)) as pilot:
        dead = await press(pilot, "4")
        again = await press(pilot, "R")

    assert "SERVER STOPPED: OSError" in dead
    assert server.restarted == 1
    assert "SERVER STOPPED" not in again


# Questions and answers ----------------------------------------------------------------------------


async def test_switching_off_the_only_server_of_a_model_names_it_first() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        asked = await press(pilot, "3", "space")
        assert "No other backend serves qwen2.5:7b." in asked
        await press(pilot, "enter")
        assert stage.gateway.switched == []
        await press(pilot, "space", "y")
        await until(lambda: stage.gateway.switched == [("local-llama", False)])


def answer(stage: Stage, outcome: Callable[[Command], Outcome]) -> list[Command]:
    asked: list[Command] = []

    async def command(command: Command) -> Outcome:
        asked.append(command)
        return outcome(command)

    stage.source.command = command  # type: ignore[method-assign]
    return asked


async def test_saving_shows_the_difference_and_writes_only_when_told() -> None:
    stage = make_stage()
    lines = ("@@ -3 +3 @@", "-enabled = true", "+enabled = false", "+\x1b[2J [/]")
    asked = answer(stage, lambda _: Outcome(message="3 lines", lines=lines))
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "3", "S")
        assert "-enabled = true" in shown
        assert "+\\x1b[2J [/]" in shown
        await press(pilot, "enter")
        await press(pilot, "S", "y")
        await until(lambda: len(asked) == 3)

    assert asked == [SaveConfig(only_plan=True), SaveConfig(only_plan=True), SaveConfig()]


async def test_a_reload_shows_its_plan_before_it_is_in_force() -> None:
    stage = make_stage()
    asked = answer(
        stage, lambda _: Outcome(message="1 change", lines=("gpt-4: local-llama → vllm-a",))
    )
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "ctrl+r")
        assert "gpt-4: local-llama → vllm-a" in shown
        await press(pilot, "y")
        await until(lambda: asked == [ReloadConfig(only_plan=True), ReloadConfig()])


EXCERPT = ('  a = "private"', "      ^")


@pytest.mark.parametrize(
    "error",
    [
        ConfigError(
            [ConfigProblem("nexus.toml:4:5: a: is wrong", EXCERPT), "nexus.toml:9: b: too"]
        ),
        InvalidRequestError(
            "\n".join(["nexus.toml:4:5: a: is wrong", *EXCERPT, "nexus.toml:9: b: too"])
        ),
    ],
)
async def test_a_refused_file_shows_every_problem(error: Exception) -> None:
    stage = make_stage()

    def refuse(_: Command) -> Outcome:
        raise error

    answer(stage, refuse)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "ctrl+r")

    assert "nothing changed" in shown.lower()
    lines = shown.splitlines()
    at = next(index for index, line in enumerate(lines) if "nexus.toml:4:5: a: is wrong" in line)
    left = lines[at].index("nexus.toml")
    source, caret, second = (line[left:] for line in lines[at + 1 : at + 4])
    assert source.startswith(EXCERPT[0])
    assert caret.startswith(EXCERPT[1])
    assert second.startswith("nexus.toml:9: b: too")


@pytest.mark.parametrize("path", [Path("/etc/nexus.toml"), None])
async def test_a_fault_of_one_line_stays_until_it_is_closed(path: Path | None) -> None:
    stage = make_stage()
    stage.gateway.config = stage.gateway.config.model_copy(update={"path": path})

    def refuse(_: Command) -> Outcome:
        raise InvalidRequestError("nexus.toml:50:1: no closing ]")

    answer(stage, refuse)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "ctrl+r")
        in_a_dialog = len(app.screen_stack) > 1

    assert "nexus.toml:50:1: no closing ]" in shown
    assert in_a_dialog is (path is not None)


async def test_a_failed_command_leaves_nothing_pending() -> None:
    stage = make_stage()

    def refuse(_: Command) -> Outcome:
        raise InvalidRequestError("not now")

    answer(stage, refuse)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "3", "j", "space")

    assert "not now" in shown
    assert "switching" not in shown


async def test_a_refused_key_is_told_once() -> None:
    stage = make_stage(plays=False)
    app = make_app(stage)
    app._logs.last_warning = None

    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        for _ in range(3):
            stage.gateway.registry.record_refused_key("openai", "401: check OPENAI_API_KEY")
        await until(
            lambda: "openai: 401: check OPENAI_API_KEY" in screen_text(app).splitlines()[-1]
        )
        app._notices._clear("openai: 401: check OPENAI_API_KEY")
        stage.gateway.registry.record_refused_key("openai", "401: check OPENAI_API_KEY")
        app.painter.intake.collect()
        await pilot.pause()
        assert "OPENAI_API_KEY" not in screen_text(app).splitlines()[-1]
