from __future__ import annotations

import pytest

from nexus_tui.widgets.base.columns import Column, column_at, heading, layout

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


def test_the_most_important_column_grows_first_and_the_others_in_turn() -> None:
    columns = tuple(Column(name, name, 4, rank, grows=8) for rank, name in enumerate("abc"))

    widths = [[width for _, width in layout(columns, 18 + more)] for more in range(8)]

    assert widths[:5] == [[4, 4, 4], [5, 4, 4], [6, 4, 4], [7, 4, 4], [8, 4, 4]]
    assert widths[5:] == [[8, 5, 4], [8, 5, 5], [8, 6, 5]]


def test_columns_in_an_order_of_one_s_own_lose_the_last_ones() -> None:
    shown = layout((NOTE, COST, NAME), 18, drops_last=True)

    assert [column.id for column, _ in shown] == ["note", "cost"]


def test_a_title_that_is_too_long_has_a_short_form() -> None:
    zone = Column("zone", "zone", 1, 0, grows=4, after=1, short="z")

    assert heading(layout((zone,), 3)) == " z "
    assert heading(layout((zone,), 20)) == " zone "


@pytest.mark.parametrize(
    ("sorted_by", "shown"),
    [
        ("name", " name▼   note       cost  "),
        ("cost", " name    note       cost▼ "),  # beside a title that stands where it was
        ("note", " name    note▼      cost  "),
        ("other", " name    note       cost  "),
    ],
)
def test_the_title_of_what_is_sorted_by_has_a_mark(sorted_by: str, shown: str) -> None:
    assert heading(layout(ALL, 25), sorted_by, "▼") == shown


def test_a_mark_finds_room_beside_the_narrowest_title() -> None:
    zone = Column("zone", "zone", 1, 0, after=1, short="z")

    assert heading(layout((zone, NAME), 12), "zone", "▲") == " z▲name      "


def test_a_column_is_found_by_the_cell_of_a_line() -> None:
    columns = layout(ALL, 25)
    title = heading(columns)

    found = {name: column_at(columns, title.index(name)) for name in ("name", "note", "cost")}

    assert found == {"name": "name", "note": "note", "cost": "cost"}
    assert column_at(columns, 0) is None
    assert column_at(columns, 40) is None
