"""Text diff, word by word, as rows for two columns, with bounded work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import NamedTuple, TypeVar

from rich.cells import cell_len

from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import wrap
from nexus_tui.widgets.base.lines import Cell, Line

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WORD = re.compile(r"\n|[^\S\n]+|[^\s]+")
_MAX_TEXT = 64 * 1024  # characters of a side
_STEPS = 400_000  # of comparing: a tenth of a second

Pair = tuple[Line, Line]
Words = list[str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both texts; words of one side only carry a - or a +."""

    old: list[Cell]
    new: list[Cell]
    is_coarse: bool = False  # so much differs that some lines are compared as a whole

    def rows(self, width: int) -> list[Pair]:
        """In columns of `width` cells."""
        columns = _folded(self.old, width), _folded(self.new, width)
        return list(zip_longest(*columns, fillvalue=()))


def compare(left: str, right: str, steps: int = _STEPS) -> Comparison:
    """Word by word where that takes at most so many steps, else line by line."""
    before, after = _lines(left), _lines(right)
    return _by_word(before, after, steps // 2) or _by_line(before, after, steps // 2)


def _lines(text: str) -> list[Words]:
    """The words of each line, its end among them, as far as they are compared."""
    lines = [_WORD.findall(line) for line in _LINE.findall(text[:_MAX_TEXT])]
    if len(text) > _MAX_TEXT:
        lines.append(["\n", f"… {len(text) - _MAX_TEXT:,} more characters are not compared"])
    return lines


def _by_word(before: Sequence[Words], after: Sequence[Words], steps: int) -> Comparison | None:
    """The words of both sides, marked; None: that takes more steps."""
    one, other = list(chain(*before)), list(chain(*after))
    found = edits(one, other, steps)
    if found is None:
        return None
    old: list[Cell] = []
    new: list[Cell] = []
    for is_equal, a, b, c, d in found:
        if is_equal:
            old += [(word, "text") for word in one[a:b]]
            new += [(word, "text") for word in other[c:d]]
        else:
            old += _changed(one[a:b], "-", "bad")
            new += _changed(other[c:d], "+", "good")
    return Comparison(old, new)


def _by_line(before: Sequence[Words], after: Sequence[Words], steps: int) -> Comparison:
    """Like lines first; then the words of what is between them, as far as the steps go."""
    nothing_like = [Edit(False, 0, len(before), 0, len(after))]
    found = edits(before, after, steps // 2) or nothing_like
    share = steps // 2 // max(1, sum(not edit.is_equal for edit in found))
    parts = [
        _by_word(before[a:b], after[c:d], share) or _as_a_whole(before[a:b], after[c:d])
        for _, a, b, c, d in found
    ]
    return Comparison(
        [cell for part in parts for cell in part.old],
        [cell for part in parts for cell in part.new],
        any(part.is_coarse for part in parts),
    )


def _as_a_whole(before: Sequence[Words], after: Sequence[Words]) -> Comparison:
    old = _changed(list(chain(*before)), "-", "bad")
    return Comparison(old, _changed(list(chain(*after)), "+", "good"), is_coarse=True)


def _changed(words: Sequence[str], sign: str, style: str) -> list[Cell]:
    """One sign for each run of words, so that it reads without colour."""
    cells: list[Cell] = []
    is_begun = False
    for word in words:
        if word == "\n":
            is_begun = False
        cells.append((word if word.isspace() or is_begun else f"{sign}{word}", style))
        is_begun = is_begun or not word.isspace()
    return cells


def _folded(cells: Sequence[Cell], width: int) -> Iterator[Line]:
    line: list[Cell] = []
    used = 0
    for word, style in cells:
        if word == "\n":
            yield tuple(line)
            line, used = [], 0
            continue
        text = " " if word.isspace() else escaped(word)
        for part in wrap(text, width):
            size = cell_len(part)
            if used + size > width:
                yield tuple(line)
                line, used = [], 0
            if not (part == " " and not used):
                line.append((part, style))
                used += size
    if line:
        yield tuple(line)


# What two sequences have in common ----------------------------------------------------------------


class Edit(NamedTuple):
    """A stretch of both: `before[a:b]` beside `after[c:d]`."""

    is_equal: bool
    a: int
    b: int
    c: int
    d: int


class Match(NamedTuple):
    """`size` items that are the same from `x` and from `y` on."""

    x: int
    y: int
    size: int


def edits(before: Sequence[T], after: Sequence[T], steps: int) -> list[Edit] | None:
    """Equal and changed stretches in turn, with as few changes as can be.

    None where that takes more than so many steps, beside one look at each item. They grow with
    the length times the number of changes: E. W. Myers, "An O(ND) Difference Algorithm and Its
    Variations", 1986.
    """
    first = _same(before, after)
    rest, other_rest = before[first:], after[first:]
    last = _same(rest[::-1], other_rest[::-1])
    n, m = len(rest) - last, len(other_rest) - last
    middle = _matches(rest[:n], other_rest[:m], steps)
    if middle is None:
        return None
    matches = [Match(0, 0, first)]
    matches += [Match(first + x, first + y, size) for x, y, size in middle]
    matches.append(Match(first + n, first + m, last))
    return list(_stretches(matches))


def _same(before: Sequence[T], after: Sequence[T]) -> int:
    """How many are the same at the beginning."""
    size = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        size += 1
    return size


def _matches(before: Sequence[T], after: Sequence[T], steps: int) -> list[Match] | None:
    """The longest common subsequence, in order; None: too many steps."""
    n, m = len(before), len(after)
    rows: list[dict[int, int]] = [{1: 0}]  # by changes: how far x came, by diagonal (x - y)
    for changes in range(n + m + 1):
        row: dict[int, int] = {}
        low = 2 * max(0, changes - m) - changes
        high = changes - 2 * max(0, changes - n)
        for diagonal in range(low, high + 1, 2):
            x, _ = _entered(rows[-1], diagonal)
            steps -= 1
            while x < n and x - diagonal < m and before[x] == after[x - diagonal]:
                x += 1
                steps -= 1
            row[diagonal] = x
            if diagonal == n - m and x >= n:
                return _walked_back(rows, n, m)
            if steps < 0:
                return None
        rows.append(row)
    raise AssertionError("as many changes as there are items lead from one to the other")


def _entered(row: Mapping[int, int], diagonal: int) -> tuple[int, int]:
    """Where a diagonal is entered with one more change, and from which."""
    left, above = row.get(diagonal - 1, -1), row.get(diagonal + 1, -1)
    return (above, diagonal + 1) if left < above else (left + 1, diagonal - 1)


def _walked_back(rows: Sequence[Mapping[int, int]], x: int, y: int) -> list[Match]:
    """What was the same on the way to the end of both."""
    matches: list[Match] = []
    for row in reversed(rows):
        entered, origin = _entered(row, x - y)
        if x > entered:
            matches.append(Match(entered, entered - (x - y), x - entered))
        x = row[origin]
        y = x - origin
    return matches[::-1]


def _stretches(matches: Iterable[Match]) -> Iterator[Edit]:
    a = c = 0
    for x, y, size in matches:
        if x > a or y > c:
            yield Edit(False, a, x, c, y)
        if size:
            yield Edit(True, x, x + size, y, y + size)
        a, c = x + size, y + size
