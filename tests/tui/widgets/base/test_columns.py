from __future__ import annotations

import pytest

from nexus_tui.widgets.base.columns import Column, heading, layout

NAME = Column("name", "name", 6, rank=0, grows=20)
COST = Column("cost", "cost", 5, rank=1, right=True)
NOTE = Column("note", "note", 8, rank=2)
ALL = (NAME, NOTE, COST)


@pytest.mark.parametrize(
    ("width", "shown"),
    [(80, ["name", "note", "cost"]), (24, ["name", "cost"]), (14, ["name"]), (1, ["name"])],
)
def test_the_highest_rank_goes_first_where_it_is_narrow(width: int, shown: list[str]) -> None:
    assert [column.id for column, _ in layout(ALL, width)] == shown


def test_what_room_is_left_goes_to_the_columns_that_grow() -> None:
    assert [width for _, width in layout(ALL, 30)] == [11, 8, 5]
    assert [width for _, width in layout(ALL, 200)] == [20, 8, 5]


def test_the_heading_stands_above_its_cells() -> None:
    columns = layout(ALL, 25)

    assert heading(columns) == " name    note       cost  "
    assert " " + "".join(one.cell("x", width) for one, width in columns) == (
        " x       x             x  "
    )
