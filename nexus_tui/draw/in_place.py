"""Lines that change where they stand: written to the terminal, past Textual's compositor.

For a line that changed the compositor goes through every widget in the box around all changes, cuts
each line at the borders of its neighbours, and leaves it in a reference cycle (Strip.divide) that
the garbage collector has to find. It paints what is new, moves or is covered: see `_place_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

# https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036
_SYNC_START, _SYNC_END = "\x1b[?2026h", "\x1b[?2026l"

# Textual is pinned exactly, as what is asked of it here is its own.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false


class Ink(NamedTuple):
    """A style, and what is written before and after a text of it."""

    style: Style
    before: str
    after: str


class Inks(dict[str, Ink]):
    """The inks of a widget's lines by name, each found out once.

    They hold until the app is drawn in another way.
    """

    def __init__(
        self, widget: Widget, app: App[Any], style_of: Callable[[str], Style], is_ascii: bool
    ) -> None:
        super().__init__()
        self._widget = widget
        self._app = app
        self._style_of = style_of
        self.is_ascii = is_ascii  # no other glyph of ours is drawn with them
        self.filters: Sequence[LineFilter] = app.get_line_filters()  # that they hold for

    def __missing__(self, name: str) -> Ink:
        style = self._style_of(name)
        strip = Strip([Segment("x", style)], 1)
        for line_filter in self.filters:
            strip = strip.apply_filter(line_filter, self._widget.background_colors[1])
        before, _, after = strip.render(self._app.console).partition("x")
        self[name] = ink = Ink(style, before, after)
        return ink


def write_in_place(
    widget: Widget, app: App[Any], lines: Sequence[int], written: Callable[[int, int], str]
) -> bool:
    """Write lines of a widget, by their number, in one piece; False where that may not be.

    Args:
        written: gives what a line of so many cells is on the terminal.
    """
    driver = app._driver
    if driver is None or (at := _place_of(widget, app)) is None:
        return False
    parts = [_SYNC_START] if app._sync_available else []
    for y in lines:
        parts += (f"\x1b[{at.y + y + 1};{at.x + 1}H", written(y, at.width))
    widget._styles_cache._dirty_lines.update(lines)  # the compositor has not seen them
    column, row = app.screen.outer_size.clamp_offset(app.cursor_position)
    parts.append(f"\x1b[{row + 1};{column + 1}H")  # where the one that types has it
    if app._sync_available:
        parts.append(_SYNC_END)
    driver.write("".join(parts))
    return True


def _place_of(widget: Widget, app: App[Any]) -> Region | None:
    """Where the widget is on the terminal; None where the compositor has to paint it.

    That is: while it is hidden, cut off, under another screen, or the screen is laid out anew.
    """
    stack = app.screen_stack
    if len(stack) != 1 or app._batch_count:
        return None
    screen = stack[0]
    if screen._layout_required or screen._scroll_required:
        return None
    region, clip = screen._compositor.visible_widgets.get(widget, (None, None))
    if region is None or clip is None or region.size != widget.size:
        return None
    return region if clip.contains_region(region) else None
