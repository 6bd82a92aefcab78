"""Columns of plain text."""

from __future__ import annotations

from nexus_tui.commands.base.text_view import Columns, table


def test_columns_are_as_wide_as_the_terminal_shows_them() -> None:
    assert table(("a", "b"), [("模型", "x"), ("m", "y")]) == [
        " a     b",
        " 模型  x",
        " m     y",
    ]


def test_lines_that_come_later_are_aligned_with_those_before() -> None:
    columns = Columns()

    first = columns.lines([("long name", "x")])
    later = columns.lines([("a", "y"), ("b", "z")])

    assert (first, later) == ([" long name  x"], [" a          y", " b          z"])
