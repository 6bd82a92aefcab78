"""LineWidget: styled lines of text, compared before they are painted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import events
from textual.app import App
from textual.geometry import Region
from textual.message_pump import MessagePump
from textual.strip import Strip
from textual.widget import Widget

from nexus_tui.draw.in_place import Inks, write_in_place
from nexus_tui.draw.palettes import Depth, palette
from nexus_tui.draw.theme import style
from nexus_tui.text.glyphs import OF_ONE_CELL, in_ascii
from nexus_tui.text.numbers import wrap

Cell = tuple[str, str]  # text, name of a style
Line = tuple[Cell, ...]
_UNKNOWN: Line = (("", "text"),)  # blank, and differs from whatever is drawn


@runtime_checkable
class Styling(Protocol):
    """How an app wants its lines drawn."""

    @property
    def theme(self) -> str: ...
    @property
    def depth(self) -> Depth: ...
    @property
    def draws_ascii(self) -> bool: ...


def app_of(node: MessagePump) -> App[object]:
    """The app that a widget or screen is part of."""
    # Textual leaves open what its app gives back.
    return node.app  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def draws_ascii(app: object) -> bool:
    """Whether no glyph of ours but ASCII may be on the screen."""
    return isinstance(app, Styling) and app.draws_ascii


class Look(NamedTuple):
    """How an app draws now."""

    theme: str
    is_plain: bool  # without colours
    is_ascii: bool
    depth: Depth = "truecolor"

    @property
    def reverses(self) -> bool:
        """Whether the row under the cursor is shown in reverse."""
        return self.is_plain or palette(self.theme, self.depth).is_own


def rule(width: int, title: str, *parts: str, warning: str = "") -> Line:
    """A heading: `── Backends ── 5 of 6 usable ─────`; a warning comes before the other parts."""
    cells: list[Cell] = [("── ", "faint"), (f"{title} ", "title")]
    if warning:
        cells += [("── ", "faint"), (f"{warning} ", "warn")]
    for part in parts:
        cells += [("── ", "faint"), (f"{part} ", "dim")]
    rest = width - sum(cell_len(text) for text, _ in cells)
    return (*cells, ("─" * max(0, rest), "faint"))


def joined(items: Iterable[Line], width: int, gap: str = "   ") -> Line:
    """Items joined to a line, as many as fit, the first ones first."""
    cells: list[Cell] = [(" ", "text")]
    used = 1
    for item in items:
        needed = sum(cell_len(text) for text, _ in item) + (len(gap) if used > 1 else 0)
        if used + needed > width:
            break
        if used > 1:
            cells.append((gap, "text"))
        cells += item
        used += needed
    return tuple(cells)


def folded(line: Line, width: int) -> list[Line]:
    """The line with its last cell wrapped under itself."""
    if not line:
        return [line]
    *before, (text, name) = line
    indent = sum(cell_len(part) for part, _ in before)
    first, *more = wrap(text, width - indent)
    return [(*before, (first, name)), *(((" " * indent, name), (part, name)) for part in more)]


class LineWidget(Widget):
    """Draws `lines()`; `redraw()` repaints those that differ from what is on the screen."""

    ALLOW_SELECT = False  # the terminal's own selection works with shift
    raised = False  # on the background of a bar

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's own name
        super().__init__(id=id)
        self._lines: list[Line] = []
        self._strips: dict[int, Strip] = {}
        self._inks: dict[bool, Inks] = {}  # by whether the line is selected
        self._look: Look | None = None  # until it has to be found out again
        self.cursor_line = -1  # the line that is drawn with the cursor; -1: none is

    def lines(self, width: int, height: int) -> Sequence[Line]:
        """What the widget shows now, from the top; at most `height` lines."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Compare and repaint; free of cost on the terminal when nothing has changed."""
        runs = self._renew()
        if not runs:
            return
        app = app_of(self)
        if any(inks.filters != app.get_line_filters() for inks in self._inks.values()):
            self._inks.clear()
        changed = [y for first, last in runs for y in range(first, last)]
        if not write_in_place(self, app, changed, self._written):
            width = self.size.width
            self.refresh(*[Region(0, first, width, last - first) for first, last in runs])

    def _renew(self) -> list[tuple[int, int]]:
        """Make the lines anew; gives the spans of those that differ."""
        width, height = self.size
        if not width or not height or not self.is_shown:
            return []
        new = list(self.lines(width, height)[:height])
        old, self._lines = self._lines, new
        runs = [*_runs(old, new)]
        for first, last in runs:
            for y in range(first, last):
                self._strips.pop(y, None)
        return runs

    def redraw_all(self) -> None:
        """Paint every line anew, as after a change of size or selection style."""
        self.forget()
        self._renew()
        self.refresh()

    def forget(self) -> None:
        """Let the next drawing paint every line, as if none were on the screen."""
        self._look = None
        self._lines = [_UNKNOWN] * self.size.height
        self._strips.clear()
        self._inks.clear()

    @property
    def is_shown(self) -> bool:
        """Whether the widget and everything around it are displayed."""
        return self.is_attached and all(
            node.display for node in self.ancestors_with_self if isinstance(node, Widget)
        )

    def on_resize(self, _event: events.Resize) -> None:
        self.redraw_all()

    def on_show(self, _event: events.Show) -> None:
        self.redraw()

    def render_line(self, y: int) -> Strip:
        strip = self._strips.get(y)
        if strip is None:
            width = self.size.width
            inks, cells = self._drawn(y, width)
            strip = Strip([Segment(text, inks[name].style) for text, name in cells], width)
            self._strips[y] = strip
        return strip

    def put_cursor(self, line: int) -> None:
        """Have `lines` draw the cursor there: both that line and the one it left are painted."""
        if line == self.cursor_line:
            return
        for y in (self.cursor_line, line):
            if 0 <= y < len(self._lines):
                self._lines[y] = _UNKNOWN
                self._strips.pop(y, None)
        self.cursor_line = line

    def line_is_selected(self, y: int) -> bool:
        """Whether the cursor is on this line of the widget."""
        return y == self.cursor_line

    def under_cursor(self, line: Line) -> Line:
        """A line as it is when the cursor is on it."""
        return line

    @property
    def look(self) -> Look:
        """How its lines are drawn; it changes only where all of them are painted anew."""
        if self._look is None:
            app = app_of(self)
            if isinstance(app, Styling):
                self._look = Look(app.theme, app.no_color, app.draws_ascii, app.depth)
            else:
                self._look = Look(app.theme, app.no_color, is_ascii=False)
        return self._look

    def _written(self, y: int, width: int) -> str:
        """A line as the terminal gets it: what `render_line` gives, without the objects for it."""
        inks, cells = self._drawn(y, width)
        parts: list[str] = []
        for text, name in cells:
            _, before, after = inks[name]
            parts += (before, text, after)
        return "".join(parts)

    def _drawn(self, y: int, width: int) -> tuple[Inks, list[Cell]]:
        """A line as it is drawn: few cells, which take the whole width together."""
        line = self._lines[y] if y < len(self._lines) else ()
        selected = self.line_is_selected(y)
        if selected:
            line = self.under_cursor(line)
        inks = self._inks.get(selected)
        if inks is None:
            theme, plain, is_ascii, depth = self.look
            look = {"depth": depth, "raised": self.raised, "selected": selected, "plain": plain}
            inks = Inks(self, app_of(self), partial(style, theme=theme, **look), is_ascii)
            self._inks[selected] = inks
        if inks.is_ascii:
            line = tuple([(in_ascii(text), name) for text, name in line])
        return inks, _fitted(line, width)


def _fitted(line: Line, width: int) -> list[Cell]:
    """The line cut, or followed by blanks, to be as wide; neighbours of one style are joined."""
    cells: list[Cell] = []
    room, last = width, ""
    for text, name in line:
        is_plain = text.isascii() or OF_ONE_CELL.issuperset(text)
        room -= len(text) if is_plain else cell_len(text)
        if room < 0:
            text = set_cell_size(text, room + cell_len(text))
        if text:
            if name == last:
                cells[-1] = cells[-1][0] + text, name
            else:
                cells.append((text, name))
            last = name
        if room <= 0:
            return cells
    cells.append((" " * room, "text"))
    return cells


def _runs(old: list[Line], new: list[Line]) -> Iterable[tuple[int, int]]:
    """The spans of lines that differ."""
    first = None
    for y in range(max(len(old), len(new))):
        same = y < len(old) and y < len(new) and old[y] == new[y]
        if not same and first is None:
            first = y
        elif same and first is not None:
            yield first, y
            first = None
    if first is not None:
        yield first, max(len(old), len(new))
