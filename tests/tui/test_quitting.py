"""`q` on a gateway that serves: it asks, and nobody stops serving by a slip of the hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexus_tui
from nexus_core.config.tui import TuiConfig
from nexus_tui.app import NexusApp
from nexus_tui.keymap.keys import KEYS
from nexus_tui.screens.dialog import MOVING_KEYS, Option
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import Stage, make_logs, make_stage
from tests.waiting import until

# What moves a cursor here or in the tools whose users sit here.
MOVING_LETTERS = frozenset("jkgGhl")
# Options that only copy or write a file: (the option's value, its key).
HARMLESS = {("headers", "h"), ("har", "h"), ("jsonl", "l")}
LEADS_ON = {"related"}  # `l`: to the right is where the requests of a row are


class FakeServer:
    """The server of this process, and what the screen's user did with it."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem
        self.is_left = False
        self.ended = 0

    def restart(self) -> None: ...

    def leave(self) -> None:
        self.is_left = True

    def end_running(self) -> None:
        self.ended += 1


def make_app(server: FakeServer | None, stage: Stage | None = None, quit: str = "ask") -> NexusApp:  # noqa: A002
    stage = stage or make_stage()
    tui = TuiConfig.model_validate({"quit": quit})
    stage.gateway.config = stage.gateway.config.model_copy(update={"tui": tui})
    return NexusApp(stage.source, now=fixed_now, server=server, logs=make_logs())


@pytest.mark.parametrize(
    ("key", "quits", "is_left", "ended"),
    [
        ("enter", True, True, 0),
        ("d", True, False, 0),
        ("x", True, False, 1),
        ("escape", False, False, 0),
        *[(key, False, False, 0) for key in ("j", "k", "g", "G", "h", "l", "up", "down", "q")],
    ],
)
async def test_q_asks_what_becomes_of_the_server(
    key: str, quits: bool, is_left: bool, ended: int
) -> None:
    server = FakeServer()
    app = make_app(server)

    async with app.run_test(size=(120, 36)) as pilot:
        asked = await press(pilot, "q")
        assert "6 requests under way" in asked
        assert "Leave the screen and serve on" in asked
        assert "New requests will be refused after a stop." in asked
        await pilot.press(key)
        await until(lambda: app.is_running is not quits)
        await pilot.pause()
        assert app.is_running is not quits

    assert (server.is_left, server.ended) == (is_left, ended)


async def test_j_and_k_move_among_the_answers() -> None:
    server = FakeServer()
    app = make_app(server)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "q", "j", "j", "k", "k", "k", "enter")
        await until(lambda: not app.is_running)

    assert server.is_left


async def test_q_asks_when_nothing_is_under_way_too() -> None:
    server = FakeServer()
    app = make_app(server, make_stage(plays=False))

    async with app.run_test(size=(120, 36)) as pilot:
        asked = await press(pilot, "q")
        assert "Stop serving and quit" in asked
        assert "under way" not in asked
        await pilot.press("d")
        await until(lambda: not app.is_running)

    assert not server.is_left


async def test_one_request_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage()
    app = make_app(FakeServer(), stage)

    async with app.run_test(size=(120, 36)) as pilot:
        monkeypatch.setattr(stage.source.stats, "in_flight", 1)
        asked = await press(pilot, "q")

    assert ", 1 request under way." in asked
    assert "Stop and end 1 request now" in asked


@pytest.mark.parametrize(("quit", "is_left"), [("leave", True), ("quit", False)])
async def test_the_answer_may_be_in_the_config(quit: str, is_left: bool) -> None:  # noqa: A002
    server = FakeServer()
    app = make_app(server, quit=quit)

    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("q")
        await until(lambda: not app.is_running)

    assert (server.is_left, server.ended) == (is_left, 0)


async def test_ctrl_c_twice_asks_as_q_does_and_once_only() -> None:
    server = FakeServer()
    app = make_app(server)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "ctrl+c", "ctrl+c")
        await until(lambda: "Quit?" in screen_text(app))
        await press(pilot, "ctrl+c", "ctrl+c", "ctrl+c", "ctrl+c")
        assert len(app.screen_stack) == 2
        await press(pilot, "escape")
        assert "Quit?" not in screen_text(app)
        assert "Quit?" in await press(pilot, "q")

    assert not server.is_left


@pytest.mark.parametrize("server", [None, FakeServer("OSError; the log (6) has the traceback")])
async def test_where_nothing_of_this_process_serves_q_asks_nothing(
    server: FakeServer | None,
) -> None:
    app = make_app(server)

    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("q")
        await until(lambda: not app.is_running)


async def test_the_demo_serves_nobody_and_ends_at_q() -> None:
    stage = make_stage()
    stage.source.is_demo = True
    server = FakeServer()
    app = make_app(server, stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("q")
        await until(lambda: not app.is_running)

    assert not server.is_left


# No key that moves does anything else -------------------------------------------------------------


def test_no_letter_that_moves_a_cursor_is_the_key_of_another_action() -> None:
    moving = {"up", "down", "page_up", "page_down", "top", "bottom"}

    others = {key.id: set(key.keys) for key in KEYS if key.id not in moving}

    moves = {name for name, keys in others.items() if keys & (MOVING_LETTERS | MOVING_KEYS)}
    assert moves == LEADS_ON


def options_of_all_dialogs() -> Iterator[tuple[str, str]]:
    """Value and key of each option in the source, where both are written there."""
    for file in sorted(Path(nexus_tui.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("Option"):
                words = [word.value for word in node.keywords if word.arg == "key"]
                for key in [*node.args[2:3], *words]:
                    if isinstance(key, ast.Constant):
                        yield ast.unparse(node.args[0]).strip("'"), str(key.value)


def test_no_option_of_a_dialog_is_chosen_by_a_letter_that_moves() -> None:
    options = set(options_of_all_dialogs())

    assert ("cut", "x") in options
    assert {(value, key) for value, key in options if key in MOVING_LETTERS} <= HARMLESS


@pytest.mark.parametrize("key", sorted(MOVING_KEYS))
def test_an_option_can_t_have_a_key_that_moves(key: str) -> None:
    with pytest.raises(ValueError, match="moves the cursor"):
        Option("a", "an option", key)
