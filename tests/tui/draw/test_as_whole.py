"""A screen of which lines are written in place is the one that is drawn whole, whatever happens."""

from __future__ import annotations

from random import Random

import pytest
from textual import events
from textual.geometry import Size
from textual.pilot import Pilot

from nexus_core.config.tui import TuiConfig
from nexus_tui.app import NexusApp
from nexus_tui.widgets.base.lines import LineWidget
from tests.tui.draw.terminal import Terminal, connected, whole
from tests.tui.fake_gateway import FakeGateway
from tests.tui.fleet import Story, publish
from tests.tui.screen import paint_round, press, still
from tests.tui.staged import make_stage
from tests.tui.test_states import make_app

_MODELS = (
    "llama3:70b",
    "x" * 60,
    "大きい漢字" * 5,
    "🦙" * 13,
    "👩\u200d👩\u200d👧 family",
    "e\u0301te\u0301",
    "\u0301",
    "▲\ufe0f up",
)
_ERRORS = (None, "漢字 failed " * 4)
_KEYS = (*"1234567jjjjkkgGsSptmEfxadz+?", "tab", "enter", "escape", "pagedown", "home", "end")
_SIZES = ((120, 36), (80, 24), (67, 30), (41, 20), (160, 50), (109, 36), (110, 36), (30, 10))
_STEPS = 25


def arrive(gateway: FakeGateway, random: Random, number: int) -> None:
    """A request from its beginning as far as it got."""
    story = Story(
        random.random() * 3,
        random.choice(_MODELS),
        random.choice(("vllm-a", "openai", "local-llama", None)),
        status=random.choice((200, 200, 503, 429)),
        total_ms=random.choice((None, 12.0, 3000.0)),
        error=random.choice(_ERRORS),
    )
    publish(gateway, f"{number:x}{random.choice(('', '漢字', '🦙'))}", story)


async def resize(app: NexusApp, pilot: Pilot[None], terminal: Terminal, random: Random) -> None:
    """Another size, and perhaps lines that change before the screen is laid out for it."""
    size = Size(*random.choice(_SIZES))
    assert app._driver is not None
    app._driver._size = size
    if size != app.size:
        terminal.resize(*size)
    app.post_message(events.Resize(size, size))
    if random.random() < 0.5:
        paint_round(app)
    await still(pilot)


def draw_anew(app: NexusApp) -> None:
    """The same lines, with nothing remembered of how they are drawn."""
    for widget in app.screen.query(LineWidget):
        widget._look = None
        widget._strips.clear()
        widget._inks.clear()
        widget.refresh()


@pytest.mark.parametrize(
    ("seed", "no_color", "ascii_only"),
    [(0, False, False), (1, True, False), (2, False, True), (3, False, False)],
)
async def test_lines_written_in_place_make_the_screen_that_is_drawn_whole(
    monkeypatch: pytest.MonkeyPatch, seed: int, no_color: bool, ascii_only: bool
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    random, stage = Random(seed), make_stage(plays=seed > 0)
    gateway = stage.gateway
    gateway.held.close()
    gateway.config = gateway.config.model_copy(update={"tui": TuiConfig(ascii=ascii_only)})
    app = make_app(stage)
    monkeypatch.setattr(app.pacer, "_tick", 3600.0)
    done: list[str] = []

    async with app.run_test(size=(120, 36)) as pilot:
        await still(pilot)
        terminal = connected(app, monkeypatch)
        for step in range(_STEPS):
            done.append(random.choice(("key", "key", "requests", "requests", "resize", "theme")))
            for number in range(random.choice((0, 1, 2, 40)) * (done[-1] != "key")):
                arrive(gateway, random, step * 100 + number)
            match done[-1]:
                case "key":
                    done[-1] = random.choice(_KEYS)
                    await press(pilot, done[-1])
                case "requests":
                    paint_round(app)
                case "resize":
                    await resize(app, pilot, terminal, random)
                case _ if len(app.screen_stack) == 1:  # a dialog takes no such key
                    app.look_like()
                    paint_round(app)
                    await still(pilot)
            await pilot.pause()

            if len(app.screen_stack) > 1:
                continue  # what is under a dialog is the compositor's, in its own time
            shown = [line[:] for line in terminal.cells]
            draw_anew(app)
            assert shown == whole(app), done
            await pilot.pause()
