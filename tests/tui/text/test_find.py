"""Text is found wherever its lines were broken, and marked cell by cell."""

from __future__ import annotations

import pytest

from nexus_tui.text.find import Span, find, marked
from nexus_tui.widgets.base.lines import Line


def lines(*texts: str) -> list[Line]:
    return [((text, "text"),) for text in texts]


@pytest.mark.parametrize(
    ("texts", "wanted", "spans"),
    [
        ((" the sky is blue",), "sky", [[Span(0, 5, 8)]]),
        ((" the sky", " SKY"), "Sky", [[Span(0, 5, 8)], [Span(1, 1, 4)]]),
        ((" the sky", " is blue"), "sky is", [[Span(0, 5, 8), Span(1, 0, 3)]]),
        ((" abcdef", " ghi"), "efgh", [[Span(0, 5, 7), Span(1, 0, 3)]]),
        ((" a.c", " abc"), "a.c", [[Span(0, 1, 4)]]),
        ((" a   b",), "a b", [[Span(0, 1, 6)]]),
        ((" abc",), "x", []),
        ((" abc",), "  ", []),
    ],
)
def test_places(texts: tuple[str, ...], wanted: str, spans: list[list[Span]]) -> None:
    assert find(lines(*texts), wanted) == spans


def test_a_place_across_cells_is_marked_in_each() -> None:
    line: Line = (("ab", "dim"), ("cd", "text"))

    found = marked(line, [(Span(0, 1, 3), "flag")])

    assert found == (("a", "dim"), ("b", "flag"), ("c", "flag"), ("d", "text"))


def test_a_long_text_is_searched_in_linear_time() -> None:
    assert find(lines("a" * 64 * 1024), "a" * 199 + "b") == []
