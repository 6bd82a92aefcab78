"""The menu of the ways to sort a list."""

from __future__ import annotations

from typing import Any

from nexus_tui.screens.dialog import Choose, Option
from nexus_tui.view.order import Sorting


def sort_menu(sorting: Sorting[Any]) -> Choose[str]:
    """Menu of what a list can be sorted by, with a letter each; its value is the way chosen."""
    options = [
        Option(name, name, way.letter, note=_note(sorting, name))
        for name, way in sorting.ways.items()
    ]
    return Choose("Sort by", [], options, cursor=list(sorting.ways).index(sorting.column))


def _note(sorting: Sorting[Any], name: str) -> str:
    if name == sorting.column:
        return f"{sorting.mark} now; again: the other way round"
    return "the usual order" if name == sorting.usual else ""
