"""Compare two texts word by word, as rows for two columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

from rich.cells import cell_len

from nexus_tui.untrusted import visible
from nexus_tui.widgets.lines import Cell, Line

_WORD = re.compile(r"\n|[^\S\n]+|[^\s]+")
_MAX_WORDS = 6000  # of a side: beyond these the time to compare grows past what a key may take

Pair = tuple[Line, Line]


def side_by_side(left: str, right: str, width: int) -> list[Pair]:
    """Both texts in columns of `width` cells; words of one side only carry a - or a +."""
    before, after = _words(left), _words(right)
    rows: list[Pair] = []
    old: list[Cell] = []
    new: list[Cell] = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            old += [(word, "text") for word in before[a:b]]
            new += [(word, "text") for word in after[c:d]]
        else:
            old += _changed(before[a:b], "-", "bad")
            new += _changed(after[c:d], "+", "good")
    rows += zip_longest(_folded(old, width), _folded(new, width), fillvalue=())
    return rows


def _words(text: str) -> list[str]:
    words = _WORD.findall(text)
    if len(words) <= _MAX_WORDS:
        return words
    return [*words[:_MAX_WORDS], f"… {len(words) - _MAX_WORDS} more words are not compared"]


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
        for part in _parts(text, width):
            size = cell_len(part)
            if used + size > width:
                yield tuple(line)
                line, used = [], 0
            if not (part == " " and not used):
                line.append((part, style))
                used += size
    if line:
        yield tuple(line)


def _parts(text: str, width: int) -> Iterator[str]:
    """A word that is longer than the column, in pieces."""
    while cell_len(text) > width:
        cut = width
        while cell_len(text[:cut]) > width:
            cut -= 1
        yield text[: max(1, cut)]
        text = text[max(1, cut) :]
    yield text
