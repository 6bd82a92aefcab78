"""Find what two sequences have in common, within a bound on the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


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
