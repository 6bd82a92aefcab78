from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nexus_tui.text import numbers as figures
from nexus_tui.text.numbers import wrap

# Narrow, wide, without width, and two that change the width of the one before.
TEXTS = st.text(st.sampled_from("ab  \u65e5\uff21\u0301\u0300\x00\x1b\u2764\ufe0f\u200d\U0001f469"))


def _plain_wrap(text: str, width: int) -> list[str]:
    """What `wrap` promises, said as plainly as can be; too slow for a long text."""
    width = max(2, width)
    lines: list[str] = []
    while cell_len(text) > width:
        sizes = [sum(map(cell_len, text[: index + 1])) for index in range(len(text))]
        end = next((max(1, at) for at, size in enumerate(sizes) if size > width), len(text))
        blank = text.rfind(" ", 1, end + 1)
        cut = blank if blank > 0 else end
        lines.append(text[:cut])
        text = text[cut:].removeprefix(" ")
    return [*lines, text]


@given(text=TEXTS, width=st.integers(0, 12))
def test_a_text_is_cut_where_its_cells_end(text: str, width: int) -> None:
    assert wrap(text, width) == _plain_wrap(text, width)


@pytest.mark.parametrize("word", ["x", "word ", "\u65e5", "a\u0301", "\u0301"])
def test_a_long_text_is_measured_a_few_times_and_not_once_for_each_line(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    measured = 0

    def counting(text: str) -> int:
        nonlocal measured
        measured += len(text)
        return cell_len(text)

    monkeypatch.setattr(figures, "cell_len", counting)
    text = word * 4000

    lines = wrap(text, 40)

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert measured < 6 * len(text)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "<1 m"),
        (59.9, "<1 m"),
        (60, "1 m"),
        (3599, "59 m"),
        (3600, "1 h 0 m"),
        (8040, "2 h 14 m"),
        (86_400, "1 d 0 h"),
        (100 * 86_400 + 3600 * 23 + 59, "100 d 23 h"),
    ],
)
def test_how_long_it_runs_has_units(seconds: float, shown: str) -> None:
    assert figures.uptime(seconds) == shown
