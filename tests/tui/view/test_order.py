from __future__ import annotations

import pytest

from nexus_tui.view.order import Sorting, Way, request_ways
from tests.tui.fleet import Story, make_gateway, publish
from tests.tui.view.test_model import TIMED, feed, models, view_of

Row = tuple[str, int | None]
ROWS: tuple[Row, ...] = (("b", 2), ("a", 3), ("c", None), ("d", 2))


def sorting(usual: str = "place") -> Sorting[Row]:
    return Sorting(
        {
            "place": Way("p", None, is_text=True),
            "name": Way("n", lambda row: row[0], is_text=True),
            "size": Way("s", lambda row: row[1]),
        },
        usual=usual,
    )


def names(rows: list[Row]) -> str:
    return "".join(name for name, _ in rows)


@pytest.mark.parametrize(
    ("column", "mark", "order", "turned"),
    [
        ("size", "▼", "abdc", "bdac"),  # what is unknown is last both ways
        ("name", "▲", "abcd", "dcba"),
        ("place", "▲", "bacd", "dcab"),
    ],
)
def test_numbers_begin_with_the_largest_and_words_with_a(
    column: str, mark: str, order: str, turned: str
) -> None:
    one = sorting(usual="name" if column != "name" else "size")

    one.choose(column)
    first = (one.mark, names(one.top_first(ROWS)))
    one.reverse()

    assert first == (mark, order)
    assert one.mark == {"▼": "▲", "▲": "▼"}[mark]
    assert names(one.top_first(ROWS)) == turned


def test_the_top_is_last_where_the_newest_row_is() -> None:
    one = sorting()

    one.choose("size")

    assert names(one.top_last(ROWS)) == "cbda"  # of equal rows the newer one is nearer the top


def test_what_is_chosen_again_is_turned_around_and_anything_else_begins_anew() -> None:
    one = sorting()

    words = list[str]()
    for column in ("size", "size", "size", "name", "size"):
        one.choose(column)
        words.append(one.words)

    assert words == ["size ▼", "size ▲", "size ▼", "name ▲", "size ▼"]


def test_the_usual_order_comes_back_once() -> None:
    one = sorting()
    one.choose("name")

    assert not one.is_usual
    assert (one.reset(), one.is_usual, one.reset()) == (True, True, False)


def test_each_way_to_sort_requests_has_a_letter_that_moves_no_cursor() -> None:
    letters = [way.letter for way in request_ways().values()]

    assert len(set(letters)) == len(letters)
    assert not {"j", "k", ""} & set(letters)


# Of the request list ------------------------------------------------------------------------------


def test_the_list_is_sorted_with_the_largest_on_top_and_the_unknown_below() -> None:
    view = view_of(*TIMED)

    view.sort_by("total")

    assert models(view) == ["mNone", "m100", "m200", "m300"]  # the last one is the top
    assert [view.position(row.seq) for row in view.view] == [0, 1, 2, 3]

    view.reverse()
    assert models(view) == ["mNone", "m300", "m200", "m100"]


def test_a_sorted_list_takes_in_what_comes() -> None:
    view = view_of(*TIMED)
    view.sort_by("total")

    gateway = make_gateway()
    subscription = gateway.bus.subscribe()
    publish(gateway, "late", Story(0, "m250", "openai", total_ms=250))
    feed(view, subscription.drain())

    assert models(view)[-2:] == ["m250", "m300"]


def test_every_order_holds_all_rows_and_time_comes_again() -> None:
    view = view_of(*TIMED)
    before = models(view)

    for column in view.sorting.ways:
        view.sort_by(column)
        assert sorted(models(view)) == sorted(before)

    assert view.sort_by_time()
    assert models(view) == before
    assert not view.sort_by_time()


def test_the_oldest_is_on_top_where_time_is_turned_around() -> None:
    view = view_of(*TIMED)

    view.sort_by("time")

    assert models(view)[-1] == "m300"
