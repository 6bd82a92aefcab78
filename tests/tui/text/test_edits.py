from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.text.edits import Edit, edits

ITEMS = st.lists(st.sampled_from("abc"), max_size=12)


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
