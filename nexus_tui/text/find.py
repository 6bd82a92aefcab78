"""Find a text in wrapped lines, also where it was broken, and mark it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from nexus_tui.widgets.base.lines import Cell, Line

_LONGEST = 200  # characters that are searched for
_BREAK = r"(?:\n )?"  # where a line may have been broken: the next one begins with a blank


class Span(NamedTuple):
    """A part of a line: its characters from `start` to before `end`."""

    line: int
    start: int
    end: int


def find(lines: Sequence[Line], wanted: str) -> list[list[Span]]:
    """Each place of a text, in order, whatever its case; one of several lines in several spans."""
    wanted = wanted[:_LONGEST].strip()
    if not wanted:
        return []
    pattern = _BREAK.join(r"\s+" if char.isspace() else re.escape(char) for char in _once(wanted))
    texts = ["".join(text for text, _ in line) for line in lines]
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    found = re.finditer(pattern, "\n".join(texts), re.IGNORECASE)
    return [list(_spans(one.start(), one.end(), starts, texts)) for one in found]


def _once(text: str) -> str:
    return " ".join(text.split())


def _spans(start: int, end: int, starts: Sequence[int], texts: Sequence[str]) -> Iterable[Span]:
    line = bisect_right(starts, start) - 1
    while line < len(texts) and starts[line] < end:
        first, last = max(start - starts[line], 0), min(end - starts[line], len(texts[line]))
        if first < last:
            yield Span(line, first, last)
        line += 1


def marked(line: Line, spans: Iterable[tuple[Span, str]]) -> Line:
    """The line with these parts in other styles."""
    cells: list[Cell] = list(line)
    for span, style in spans:
        cells = _restyled(cells, span, style)
    return tuple(cells)


def _restyled(cells: Sequence[Cell], span: Span, style: str) -> list[Cell]:
    restyled: list[Cell] = []
    at = 0
    for text, before in cells:
        first = min(max(span.start - at, 0), len(text))
        last = min(max(span.end - at, 0), len(text))
        parts = ((text[:first], before), (text[first:last], style), (text[last:], before))
        restyled += [(part, name) for part, name in parts if part]
        at += len(text)
    return restyled
