from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nexus_tui.text.answer import answer_text
from nexus_tui.text.diff import Edit, Pair, compare, edits
from nexus_tui.widgets.base.lines import Line
from tests.tui.staged import ANSWERS, streamed

WORDS = st.lists(st.sampled_from(["the", "sky", "is", "blue", "red", "\n", "averylongword"]))
ITEMS = st.lists(st.sampled_from("abc"), max_size=12)


def side_by_side(left: str, right: str, width: int) -> list[Pair]:
    return compare(left, right).rows(width)


def _text(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


def _styled(lines: list[Line], style: str) -> list[str]:
    return [text for line in lines for text, name in line if name == style and text.strip()]


def test_words_of_one_side_only_carry_its_sign() -> None:
    left, right = zip(*side_by_side("the sky is blue", "the sky was blue", 40), strict=True)

    assert _text(list(left)) == "the sky -is blue"
    assert _text(list(right)) == "the sky +was blue"
    assert _styled(list(left), "bad") == ["-is"]
    assert _styled(list(right), "good") == ["+was"]


def test_a_run_of_changed_words_carries_one_sign() -> None:
    ((left, right),) = side_by_side("a b c d", "a d", 40)

    assert _text([left]) == "a -b c d"
    assert _text([right]) == "a d"


def test_equal_texts_carry_none() -> None:
    rows = side_by_side(ANSWERS[0], ANSWERS[0], 30)

    assert all(left == right for left, right in rows)
    assert {style for left, _ in rows for _, style in left} == {"text"}


@given(before=WORDS, after=WORDS, width=st.integers(5, 30), steps=st.sampled_from([0, 8, 40, 9999]))
def test_nothing_is_lost_and_no_column_is_too_wide(
    before: list[str], after: list[str], width: int, steps: int
) -> None:
    rows = compare(" ".join(before), " ".join(after), steps).rows(width)

    for side, (texts, sign) in enumerate(((before, "-"), (after, "+"))):
        lines = [row[side] for row in rows]
        assert all(sum(cell_len(text) for text, _ in line) <= width for line in lines)
        shown = "".join(text for line in lines for text, _ in line if text != " ")
        wanted = "".join(word for word in texts if word != "\n")
        plain = "".join(
            text.removeprefix(sign) if name != "text" else text
            for line in lines
            for text, name in line
            if text != " "
        )
        assert len(shown) >= len(wanted)
        assert plain == wanted


def test_control_characters_in_an_answer_are_written_out() -> None:
    ((left, _),) = side_by_side("\x1b[2Jgone", "", 40)

    assert _text([left]) == "-\\x1b[2Jgone"


def test_a_very_long_answer_is_compared_up_to_a_limit() -> None:
    long = "word " * 16_000

    rows = side_by_side(long, long, 80)

    assert "14,464 more characters are not compared" in _text([left for left, _ in rows])


def test_where_too_much_differs_only_lines_that_differ_are_marked_as_a_whole() -> None:
    left, right = "same\nall of this\nend", "same\nnothing like it\nend"

    fine, coarse = compare(left, right), compare(left, right, steps=20)

    assert not fine.is_coarse
    assert coarse.is_coarse
    assert _text([row[0] for row in coarse.rows(40)]) == "same\n-all of this\nend"
    assert _text([row[1] for row in coarse.rows(40)]) == "same\n+nothing like it\nend"


def test_words_within_changed_lines_are_compared_where_the_whole_is_too_much() -> None:
    lines = [f"line {number} says this and that" for number in range(30)]
    others = [line.replace("this", "it") if at % 3 else line for at, line in enumerate(lines)]

    found = compare("\n".join(lines), "\n".join(others), steps=4000)

    assert not found.is_coarse
    assert _text([row[1] for row in found.rows(60)]).splitlines()[1] == "line 1 says +it and that"


def test_the_words_of_a_stream_are_put_together() -> None:
    assert answer_text(streamed(ANSWERS[0])) == ANSWERS[0]


def test_the_words_of_a_whole_answer_are_found() -> None:
    answer = b'{"choices":[{"message":{"content":"hi","tool_calls":null}}]}'

    assert answer_text(answer) == "hi"


def test_called_tools_are_part_of_the_answer() -> None:
    message = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}

    assert answer_text(json.dumps({"choices": [{"message": message}]}).encode()) == "f{}"


def test_what_is_no_completion_is_shown_as_it_is() -> None:
    for answer in (b'{"error":{"message":"no"}}', b"<html>", b'{"choices":[]}', b"[" * 5000):
        assert answer_text(answer) == answer.decode()


def _longest_common(before: list[str], after: list[str]) -> int:
    """By the textbook's table."""
    above = [0] * (len(after) + 1)
    for one in before:
        row = [0]
        for at, other in enumerate(after):
            row.append(above[at] + 1 if one == other else max(above[at + 1], row[-1]))
        above = row
    return above[-1]


@given(before=ITEMS, after=ITEMS)
def test_as_much_as_can_be_is_equal_and_nothing_is_left_out(
    before: list[str], after: list[str]
) -> None:
    found = edits(before, after, 1000)

    assert found is not None
    assert [item for edit in found for item in before[edit.a : edit.b]] == before
    assert [item for edit in found for item in after[edit.c : edit.d]] == after
    equal = [edit for edit in found if edit.is_equal]
    assert all(before[edit.a : edit.b] == after[edit.c : edit.d] for edit in equal)
    assert sum(edit.b - edit.a for edit in equal) == _longest_common(before, after)


def test_the_ends_that_are_the_same_are_free() -> None:
    before, after = list("abcdXefgh"), list("abcdYZefgh")

    assert edits(before, after, 20) == [
        Edit(True, 0, 4, 0, 4),
        Edit(False, 4, 5, 4, 6),
        Edit(True, 5, 9, 6, 10),
    ]


@dataclass(frozen=True)
class Counted:
    """An item that counts how often any of them is compared."""

    name: int
    compared: ClassVar[int] = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return isinstance(other, Counted) and other.name == self.name


def test_the_work_ends_at_its_bound() -> None:
    before = [Counted(number) for number in range(3000)]
    after = [Counted(-number) for number in range(1, 3001)]
    Counted.compared = 0

    assert edits(before, after, 10_000) is None

    assert Counted.compared < 10_000 + 2 * 3000 + 1000
