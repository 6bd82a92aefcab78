"""Lines that change where they stand: written to the terminal, past Textual's compositor.

For a line that changed the compositor goes through every widget in the box around all changes, cuts
each line at the borders of its neighbours, and leaves it in a reference cycle (Strip.divide), so that
the garbage collector has to look for it. It paints what is new, moves or is covered: see `place_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.app import App
from textual.geometry import Offset
from textual.strip import Strip
from textual.widget import Widget

_SYNC_START = (
    "\x1b[?2026h"  # https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036
)
_SYNC_END = "\x1b[?2026l"

# Textual is pinned exactly, as what is asked of it here is its own.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false


def place_of(widget: Widget, app: App[Any]) -> Offset | None:
    """Where the widget's first cell is on the terminal; None where the compositor has to paint it.

    That is: while it is hidden, cut off, under another screen, or the screen is laid out anew.
    """
    stack = app.screen_stack
    if len(stack) != 1 or app._batch_count or app._driver is None:
        return None
    screen = stack[0]
    if screen._layout_required or screen._scroll_required:
        return None
    region, clip = screen._compositor.visible_widgets.get(widget, (None, None))
    if region is None or clip is None or region.size != widget.size:
        return None
    return region.offset if clip.contains_region(region) else None


def write_lines(
    widget: Widget, app: App[Any], at: Offset, lines: Iterable[tuple[int, Strip]]
) -> None:
    """Write lines of a widget, by their number, in one piece.

    Args:
        at: the place of the widget.
    """
    driver = app._driver
    if driver is None:
        return
    filters, background = widget.get_line_filters(), widget.background_colors[1]
    parts = [_SYNC_START] if app._sync_available else []
    dirty = widget._styles_cache._dirty_lines
    for y, strip in lines:
        dirty.add(y)  # for the compositor's next look
        for line_filter in filters:
            strip = strip.apply_filter(line_filter, background)
        parts += (f"\x1b[{at.y + y + 1};{at.x + 1}H", strip.render(app.console))
    column, row = app.screen.outer_size.clamp_offset(app.cursor_position)
    parts.append(f"\x1b[{row + 1};{column + 1}H")  # where the one that types has it
    if app._sync_available:
        parts.append(_SYNC_END)
    driver.write("".join(parts))
