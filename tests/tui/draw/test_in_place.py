"""Lines that change where they stand are written there; all else is the compositor's."""

from __future__ import annotations

import gc
import re

import pytest
from textual.pilot import Pilot

from nexus_tui.app import NexusApp
from nexus_tui.draw.in_place import write_in_place
from nexus_tui.widgets.base.lines import Line
from tests.tui.fleet import fixed_now, make_source
from tests.tui.screen import press, screen_text, still

_MOVE = re.compile(r"\x1b\[(\d+);(\d+)H")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def make(monkeypatch: pytest.MonkeyPatch) -> NexusApp:
    """An app that paints only when it is asked to."""
    source, gateway = make_source(plays=False)
    gateway.held.close()
    app = NexusApp(source, now=fixed_now)
    monkeypatch.setattr(app.pacer, "_tick", 3600.0)
    return app


def written(app: NexusApp, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes to the terminal from now on."""
    sent: list[str] = []
    assert app._driver is not None
    monkeypatch.setattr(app._driver, "write", sent.append)
    return sent


def shows(app: NexusApp, text: str) -> list[Line]:
    """Lines of the hint bar that say it."""
    hints = app.bars.hints
    hints.notice = text
    return list(hints.lines(*hints.size))


def composed(app: NexusApp, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the compositor paints from now on."""
    shown: list[object] = []
    monkeypatch.setattr(app, "_display", lambda _, update: shown.append(update))
    return shown


async def test_a_line_is_written_where_it_stands_and_only_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await still(pilot)
        sent, shown = written(app, monkeypatch), composed(app, monkeypatch)
        shows(app, "all is well")
        app.bars.hints.redraw()
        await pilot.pause()

        (text,) = sent
        assert _MOVE.findall(text)[0] == ("24", "1")
        line = _STYLE.sub("", _MOVE.split(text)[3])
        assert line == screen_text(app).splitlines()[23]  # as the compositor would have it
        assert "all is well" in line
        assert not [one for one in shown if one is not None]

        app.bars.hints.redraw()  # nothing has changed

        assert len(sent) == 1


async def test_the_cursor_of_what_is_typed_stays_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "slash", "a", "b")
        sent = written(app, monkeypatch)
        shows(app, "all is well")
        app.bars.hints.redraw()

        column, row = app.cursor_position
        assert row > 0
        assert _MOVE.findall(sent[-1])[-1] == (str(row + 1), str(column + 1))


@pytest.mark.parametrize("key", ["question_mark", "P"])
async def test_what_is_under_a_dialog_is_left_to_the_compositor(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "3")
        await press(pilot, key)
        under = len(app.screen_stack) > 1
        sent = written(app, monkeypatch)
        shows(app, "all is well")
        app.bars.hints.redraw()

        assert under is (key == "question_mark")
        assert (sent == []) is under
        await press(pilot, "escape")
        if under:
            assert "all is well" in screen_text(app)  # once the dialog is closed


def blank(_line: int, width: int) -> str:
    return " " * width


async def test_what_moves_is_left_to_the_compositor(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(monkeypatch)
    async with app.run_test(size=(120, 36)) as pilot:
        await still(pilot)
        assert write_in_place(app.tabs.dashboard.list, app, [0], blank)
        # Of a tab that is not shown.
        assert not write_in_place(app.tabs.requests.list, app, [0], blank)

        app.screen._layout_required = True

        assert not write_in_place(app.tabs.dashboard.list, app, [0], blank)


@pytest.mark.parametrize("no_color", [False, True])
@pytest.mark.parametrize("theme", ["nexus-dark", "nexus-ansi"])
@pytest.mark.parametrize("width", [67, 160])
async def test_what_is_written_is_what_the_compositor_would_have_written(
    monkeypatch: pytest.MonkeyPatch, width: int, theme: str, no_color: bool
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = make(monkeypatch)
    async with app.run_test(size=(width, 36)) as pilot:
        app.theme = theme
        await still(pilot)
        for widget in (app.tabs.dashboard.list, app.tabs.dashboard.panel, app.bars.hints):
            sent = written(app, monkeypatch)
            widget.forget()
            widget.redraw()
            *lines, _ = _MOVE.split("".join(sent))[3::3]
            for y, line in enumerate(lines):
                strip = widget.render_line(y)
                for line_filter in widget.get_line_filters():
                    strip = strip.apply_filter(line_filter, widget.background_colors[1])
                assert line == strip.render(app.console)
            assert lines


async def test_painting_leaves_nothing_to_the_garbage_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make(monkeypatch)

    def change(pilot: Pilot[None], number: int) -> None:
        shows(app, f"notice {number}")
        app.bars.hints.redraw()

    async with app.run_test(size=(120, 36)) as pilot:
        await still(pilot)
        change(pilot, 0)
        gc.collect()
        gc.disable()
        try:
            for number in range(1, 50):
                change(pilot, number)
            found = gc.collect()
        finally:
            gc.enable()

    assert found < 49  # not even one object a line


async def test_what_a_shorter_list_leaves_is_blank_where_every_line_is_to_be_painted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make(monkeypatch)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "1")
        board = app.tabs.dashboard.list
        long, short = [(("x" * 120, "text"),)] * 5, [(("y" * 120, "text"),)] * 3
        monkeypatch.setattr(board, "lines", lambda *_: long)
        board.redraw()
        sent = written(app, monkeypatch)
        monkeypatch.setattr(board, "lines", lambda *_: short)
        board.forget()
        board.redraw()

        lines = _STYLE.sub("", "".join(sent))
        assert len(_MOVE.findall(lines)) >= 6
