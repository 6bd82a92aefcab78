"""Compare two texts word by word, as rows for two columns, within a bound on the work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from rich.cells import cell_len

from nexus_tui.text.edits import Edit, edits
from nexus_tui.text.escape import visible
from nexus_tui.text.numbers import wrap
from nexus_tui.widgets.base.lines import Cell, Line

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WORD = re.compile(r"\n|[^\S\n]+|[^\s]+")
_MAX_TEXT = 64 * 1024  # characters of a side
_STEPS = 400_000  # of comparing: a tenth of a second

Pair = tuple[Line, Line]
Words = list[str]


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
        text = " " if word.isspace() else visible(word)
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
