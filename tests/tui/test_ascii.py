"""With `[tui] ascii = true` nothing but ASCII is drawn, on any screen and in any dialog."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

import nexus_tui
from nexus_core.config.tui import TuiConfig
from nexus_core.control.commands import Command, Outcome
from nexus_tui.app import NexusApp
from nexus_tui.screens.dialog import ShowText
from nexus_tui.text.glyphs import in_ascii
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import Stage, captured, keep_two, make_logs, make_stage, streamed
from tests.tui.test_snapshots import SCREENS
from tests.waiting import until

LONG = "".join(f"word-{number} " for number in range(20_000))


def make_app(stage: Stage) -> NexusApp:
    tui = TuiConfig(ascii=True)
    stage.gateway.config = stage.gateway.config.model_copy(update={"tui": tui})
    return NexusApp(stage.source, now=fixed_now, logs=make_logs())


def keep_long(stage: Stage) -> None:
    for request_id in ("a81f7c", "a81f78"):
        stage.kept[request_id] = captured(request_id, LONG.encode(), LONG.encode())


def keep_unlike(stage: Stage) -> None:
    for request_id, sign in (("a81f7c", "a"), ("a81f78", "b")):
        stage.kept[request_id] = captured(request_id, streamed(LONG.replace("word", sign)))


def plan(stage: Stage) -> None:
    lines = ("@@ -3 +3 @@", "-enabled = true", *["+enabled = false"] * 60)

    async def carried_out(command: Command) -> Outcome:
        return Outcome(message="3 lines", lines=lines)

    stage.source.command = carried_out  # type: ignore[method-assign]


def _strange(text: str) -> set[str]:
    return {char for char in text if not char.isascii()}


@pytest.mark.parametrize("size", [(120, 36), (59, 14)])
@pytest.mark.parametrize("name", SCREENS)
async def test_every_screen_is_ascii(name: str, size: tuple[int, int]) -> None:
    view = SCREENS[name]
    costs = not view.is_empty
    stage = make_stage(is_empty=view.is_empty, has_costs=costs, finds=view.is_empty)
    view.prepare(stage)
    app = make_app(stage)

    async with app.run_test(size=size) as pilot:
        text = await press(pilot, *view.keys)

    assert text.strip()
    assert _strange(text) == set()


REST: dict[str, tuple[tuple[str, ...], Callable[[Stage], None], str]] = {
    "help": (("?", *"jj"), lambda _: None, "Help"),
    "help further down": (("?", *["pagedown"] * 2, "j"), lambda _: None, "Help"),
    "answer": ((*"2jjj", "enter", "tab"), keep_two, "The sky is blue"),
    "long body": ((*"2jjj", "enter", "tab", "tab", "z", "G"), keep_long, "more characters"),
    "timing": ((*"2jjj", "enter", "shift+tab"), keep_two, "first byte"),
    "diff of much": ((*"2jjj", "m", *"jjjj", "m", "d"), keep_unlike, "as a whole"),
    "diff of nothing": ((*"2jjj", "m", *"jjjj", "m", "d"), lambda _: None, "was not captured"),
    "filter": (("/", *"llama"), lambda _: None, "llama"),
    "paused": (("2", "p"), lambda _: None, "aused"),
    "copy menu": (("2", "y"), lambda _: None, "curl"),
    "replay": ((*"2jjj", "r"), keep_two, "Replay a81f7c"),
    "export": (("2", "e", "l"), lambda _: None, "Export to"),
    "clear": (("2", "c"), lambda _: None, "Clear"),
    "tier": (("3", "t"), lambda _: None, "no tier"),
    "priority": (("3", "w"), lambda _: None, "Priority"),
    "save": (("3", "S"), plan, "Save this to the"),
    "switch off": (("3", "space"), lambda _: None, "Switch"),
    "reload": (("ctrl+r",), plan, "Apply these changes"),
    "zone off": (("4", "k", "space"), lambda _: None, "zone off?"),
    "costs by key": (("5", "tab", "tab"), lambda _: None, "ci"),
    "log line": (("6", "k", "enter"), lambda _: None, "Close"),
    "empty form": (("5", "x"), lambda _: None, "Enter a model"),
}


@pytest.mark.parametrize("size", [(120, 36), (59, 14)])
@pytest.mark.parametrize("name", REST)
async def test_every_dialog_and_pane_is_ascii(name: str, size: tuple[int, int]) -> None:
    keys, prepare, wanted = REST[name]
    stage = make_stage(has_costs=True)
    prepare(stage)
    app = make_app(stage)

    async with app.run_test(size=size) as pilot:
        await press(pilot, *keys)
        await until(lambda: wanted in screen_text(app))
        text = screen_text(app)

    assert _strange(text) == set()


async def test_the_copy_box_is_ascii_but_for_what_is_copied() -> None:
    app = make_app(make_stage())
    lines = "\n".join(f"line {number}" for number in range(50))

    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(ShowText("Copied", ["It is here too."], f"a → b\n{lines}"))
        await until(lambda: "line 9" in screen_text(app))
        text = await press(pilot, "down", "down")

    assert _strange(text) == {"→"}


def test_every_glyph_that_is_drawn_has_a_twin() -> None:
    package = Path(nexus_tui.__file__).parent
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        described = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
        texts = [one for one in ast.walk(tree) if isinstance(one, ast.Constant)]
        for node in texts:
            if isinstance(node.value, str) and id(node) not in described:
                assert _strange(in_ascii(node.value)) == set(), (path, node.lineno)
