"""Table columns: selection by available width, and widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from nexus_tui.text.numbers import fit, fit_right

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

    def cell(self, text: str, width: int) -> str:
        """The text padded or cut to the column, with its gap."""
        fitted = fit_right(text, width) if self.right else fit(text, width)
        return fitted + " " * self.after


Layout = tuple[tuple[Column, int], ...]


@cache
def layout(columns: tuple[Column, ...], width: int) -> Layout:
    """The columns that fit, in their order, with their widths."""
    kept = list(columns)
    while len(kept) > 1 and _needed(kept) > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    spare = max(0, width - _needed(kept))
    widths: list[int] = []
    for column in kept:
        more = min(spare, max(0, column.grows - column.width))
        spare -= more
        widths.append(column.width + more)
    return tuple(zip(kept, widths, strict=True))


def _needed(columns: Sequence[Column]) -> int:
    return 2 + sum(column.width + column.after for column in columns) - columns[-1].after


def heading(columns: Layout) -> str:
    """The titles, aligned as the cells below them."""
    return " " + "".join(column.cell(column.title, width) for column, width in columns)
