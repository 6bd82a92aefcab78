"""A terminal that keeps what is written to it, cell by cell."""

from __future__ import annotations

import re
from typing import TypeAlias

import pytest
from rich.cells import cell_len
from textual._compositor import CompositorUpdate
from textual.screen import Screen

from nexus_tui.app import NexusApp

_PART = re.compile(r"\x1b\[([?0-9;]*[A-Za-z])|(.)", re.DOTALL)
_SYNC = ("?2026h", "?2026l")

# Of each line: what stands in a cell, "" beside a wide character, and the style it is drawn in.
Cells: TypeAlias = list[list[tuple[str, str]]]


class Terminal:
    """Knows what the dashboard sends: moves, styles and texts."""

    def __init__(self, width: int, height: int) -> None:
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """Another size; it is blank then."""
        self.width, self.height = width, height
        self.cells: Cells = [[(" ", "")] * width for _ in range(height)]

    def write(self, data: str) -> None:
        x = y = 0
        style = ""
        for control, character in _PART.findall(data):
            if control.endswith("m"):
                style = "" if control == "0m" else control
            elif control.endswith("H"):
                row, column = control[:-1].split(";")
                x, y = int(column) - 1, int(row) - 1
            elif control:
                assert control in _SYNC
            elif character == "\n":
                x, y = 0, y + 1
            else:
                x += self._put(x, y, character, style)

    def _put(self, x: int, y: int, character: str, style: str) -> int:
        """Write one character; gives how many cells it takes."""
        size = cell_len(character)
        if y < self.height and x + size <= self.width:
            line = self.cells[y]
            if size:
                line[x : x + size] = [(character, style), *[("", style)] * (size - 1)]
            else:  # it joins the one before
                line[x - 1] = (line[x - 1][0] + character, style)
        return size


def whole(app: NexusApp) -> Cells:
    """The screen as the compositor draws all of it."""
    terminal = Terminal(*app.size)
    terminal.write(app.screen._compositor.render_full_update().render_segments(app.console))
    return terminal.cells


def connected(app: NexusApp, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal that shows the screen, and gets all that is written to it from now on."""
    terminal = Terminal(*app.size)
    terminal.cells = whole(app)

    def display(_screen: Screen[object], update: object) -> None:
        if isinstance(update, CompositorUpdate) and not app._batch_count:
            terminal.write(update.render_segments(app.console))

    assert app._driver is not None
    monkeypatch.setattr(app._driver, "write", terminal.write)
    monkeypatch.setattr(app, "_display", display)
    return terminal
