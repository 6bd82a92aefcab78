"""A line fills its row exactly, wherever it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nexus_tui.widgets.base.lines import Line, _fitted

_STYLES = {name: Style(meta={"name": name}) for name in ("text", "dim", "bad")}
_TEXTS = st.text(st.sampled_from([*"ab ", *"●…─≈", *"漢字", "🦙", "é"]), max_size=6)
_CELLS = st.tuples(_TEXTS, st.sampled_from([*_STYLES]))


@given(line=st.lists(_CELLS, max_size=6).map(tuple), width=st.integers(1, 24))
def test_a_line_is_cut_and_filled_as_the_toolkit_does_it(line: Line, width: int) -> None:
    segments = [Segment(text, _STYLES[name]) for text, name in line]
    wanted = Strip(segments).adjust_cell_length(width, _STYLES["text"])

    fitted = _fitted(line, width)

    drawn = [(character, name) for text, name in fitted for character in text]
    assert drawn == [
        (character, segment.style.meta["name"])
        for segment in wanted
        if segment.style is not None
        for character in segment.text
    ]
    assert sum(cell_len(text) for text, _ in fitted) == width
