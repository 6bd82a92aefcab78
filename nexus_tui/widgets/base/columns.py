"""Table columns: selection by available width, widths, and the headings above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter

from nexus_tui.text.numbers import NOTHING, fit, fit_right

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column; the lowest `rank` stays longest when the screen is narrow."""

    id: str
    title: str
    width: int  # at least
    rank: int
    grows: int = 0  # up to this width, when there is room left
    right: bool = False
    after: int = GAP  # blanks behind it
    short: str = ""  # the title where the whole does not fit

    def cell(self, text: str, width: int) -> str:
        """The text padded or cut to the column, with its gap."""
        if len(text) <= width and (text.isascii() or text == NOTHING):  # a cell a character
            if not self.right:
                return text.ljust(width + self.after)
            fitted = text.rjust(width)
        else:
            fitted = fit_right(text, width) if self.right else fit(text, width)
        return fitted + " " * self.after

    def heading(self, width: int, mark: str = "") -> str:
        """The title above cells of this width; a mark beside it may stand in the gap."""
        title = self.title if len(self.title) <= width else self.short or self.title
        if not mark:
            return self.cell(title, width)
        if self.right:  # the title stays where it is
            return fit_right(title, width) + mark + " " * (self.after - 1)
        return fit(title[: width + self.after - 1] + mark, width + self.after)


Layout = tuple[tuple[Column, int], ...]


@cache
def layout(
    columns: tuple[Column, ...], width: int, *, lead: int = 1, drops_last: bool = False
) -> Layout:
    """The columns that fit, in their order, with their widths.

    Args:
        lead: cells before the first column; one more is left free at the end of a line.
        drops_last: where there is no room the last columns go, not those of the highest rank.
    """
    kept = list(columns)
    room = width - lead - 1
    while len(kept) > 1 and _needed(kept) > room:
        kept.remove(kept[-1] if drops_last else max(kept, key=_rank))
    spare = max(0, room - _needed(kept))
    widths = {column.id: column.width for column in kept}
    growing: list[Column] = [column for column in kept if column.grows > column.width]
    growing.sort(key=_rank)
    if growing and growing[0].rank == 0:  # the most important one takes all it can use
        first = growing.pop(0)
        more = min(spare, first.grows - first.width)
        widths[first.id] += more
        spare -= more
    while spare and growing:  # of the others each has a cell in turn
        for column in growing[:spare]:
            widths[column.id] += 1
        spare -= len(growing[:spare])
        growing = [column for column in growing if column.grows > widths[column.id]]
    return tuple([(column, widths[column.id]) for column in kept])


_rank = attrgetter("rank")


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.width + column.after for column in columns) - columns[-1].after


def heading(columns: Layout, sorted_by: str = "", mark: str = "", *, lead: int = 1) -> str:
    """The titles, aligned as the cells below them; `mark` stands beside the one sorted by."""
    return " " * lead + "".join(
        [column.heading(width, mark if column.id == sorted_by else "") for column, width in columns]
    )


def column_at(columns: Layout, x: int, *, lead: int = 1) -> str | None:
    """The id of the column in this cell of a line, its gap included; None where there is none."""
    end = lead
    for column, width in columns:
        end += width + column.after
        if lead <= x < end:
            return column.id
    return None
