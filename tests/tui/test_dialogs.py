"""Dialogs are laid out for the size that the terminal has, whatever it had when they came."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nexus_core.control.commands import Command, Outcome
from nexus_tui.app import NexusApp
from nexus_tui.keymap.keys import remapped
from nexus_tui.screens.dialog import AskLine, Choose, Option
from nexus_tui.widgets.base.lines import folded
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import make_stage
from tests.waiting import until

CUT = (
    "The backend is switched off and its running requests (2) are ended: "
    "their clients get an error. "
    "No other backend serves qwen2.5:7b. "
    "Requests for these models get a 503 while it is off."
)


def _in_the_box(app: NexusApp) -> str:
    """What the dialog over the screen says, as one line."""
    box = app.screen.query_one("#box").content_region
    lines = screen_text(app).splitlines()[box.y : box.bottom]
    text = " ".join(line[box.x : box.right] for line in lines)
    return " ".join(re.sub("[▁-█]", " ", text).split())  # without the scrollbar's ends


@pytest.mark.parametrize(
    ("size", "other"), [((120, 36), (59, 14)), ((59, 14), (120, 36)), ((120, 36), (40, 20))]
)
async def test_a_question_is_laid_out_anew_when_the_terminal_changes(
    size: tuple[int, int], other: tuple[int, int]
) -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=size) as pilot:
        await press(pilot, "3", "K")
        assert CUT in _in_the_box(app)
        await pilot.resize_terminal(*other)
        await until(lambda: app.size == other and CUT in _in_the_box(app))
        await until(lambda: "No, leave it as it is" in screen_text(app))


@pytest.mark.parametrize(("open_to", "cursor"), [((1, 2), 1), ((0, 1), 0), ((), 0)])
async def test_the_cursor_starts_at_the_first_option_that_can_be_chosen(
    open_to: tuple[int, ...], cursor: int
) -> None:
    options = [Option(n, f"backend {n}", why_not="" if n in open_to else "off") for n in range(3)]

    assert Choose("Replay", [], options).rows.cursor == cursor


async def test_the_lines_of_a_difference_are_wrapped() -> None:
    stage = make_stage()
    message = "Two keys are written into nexus.toml in your home directory, and its comments stay"

    async def carried_out(command: Command) -> Outcome:
        return Outcome(message="1 change", lines=(f"+# {message}",))

    stage.source.command = carried_out  # type: ignore[method-assign]
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(59, 20)) as pilot:
        await press(pilot, "3", "S")
        await until(lambda: f"+# {message}" in _in_the_box(app))


@pytest.mark.parametrize("width", [59, 80])
async def test_all_of_the_help_can_be_read(width: int) -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(width, 60)) as pilot:
        await press(pilot, "?")
        seen = _in_the_box(app)
        for _ in range(8):
            await press(pilot, "pagedown")
            seen += " " + _in_the_box(app)

    for key in remapped({}).keys:
        assert key.help in seen, key.id
        assert key.id in seen.split(), key.id


@given(text=st.text(st.sampled_from("ab 日")), width=st.integers(8, 30))
def test_a_line_is_wrapped_under_its_last_cell(text: str, width: int) -> None:
    parts = folded((("key ", "key"), (text, "text")), width)

    lines = ["".join(part for part, _ in line) for line in parts]
    assert all(cell_len(line) <= width for line in lines)
    assert lines[0].startswith("key ")
    assert all(line.startswith("    ") for line in lines[1:])
    assert "".join(line[4:] for line in lines).replace(" ", "") == text.replace(" ", "")


async def test_what_is_wrong_with_a_text_is_told_in_full() -> None:
    problem = "budget: must be dollars a month, such as 20 or 0.5; " * 4 + "or nothing"
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(AskLine("Limits", check=lambda text: problem if text == "x" else None))
        await pilot.pause()
        await press(pilot, "x", "enter")
        await until(lambda: problem in _in_the_box(app))
        await press(pilot, "backspace", "enter")
        assert len(app.screen_stack) == 1
