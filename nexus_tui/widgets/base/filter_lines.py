"""What a filtered list says: in its title, and where nothing matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import count
from nexus_tui.view.filter.language import Filter
from nexus_tui.widgets.base.lines import Line


def filter_parts(current: Filter[Any], shown: int, total: int) -> list[str]:
    """For the title: the filter, and how much it leaves; nothing without a filter."""
    if not current.text:
        return []
    return [f"filter: {escaped(current.text)}", f"{count(shown)} of {count(total)}"]


def filter_problem(current: Filter[Any]) -> str:
    """For the title, before all else; empty when all is well."""
    return escaped(current.problem or "")


def nothing_matches(current: Filter[Any]) -> Sequence[Line]:
    """In place of rows."""
    if told := current.problem or current.hint:
        return [(), ((f"  {escaped(told)}", "warn"),)]
    return [(), (("  Nothing matches. ", "dim"), ("esc", "key"), (" shows all", "dim"))]
