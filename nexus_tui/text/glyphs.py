"""ASCII replacements of the dashboard's glyphs, cell for cell."""

from __future__ import annotations

from typing import ClassVar

from textual.scrollbar import ScrollBarRender

_ASCII = str.maketrans(
    {
        "●": "*",
        "◐": "~",
        "○": "-",
        "◇": "?",
        "✗": "x",
        "✓": "+",
        "◆": "#",
        "▲": "^",
        "▼": "v",
        "▌": ">",
        "█": "#",
        "░": ".",
        "▁": "_",
        "▂": ".",
        "▃": ":",
        "▄": "-",
        "▅": "=",
        "▆": "+",
        "▇": "*",
        "─": "-",
        "│": "|",
        "┬": "+",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "…": "~",
        "×": "x",  # noqa: RUF001  the sign of a product
        "Δ": "d",
        "≥": ">",
        "≈": "~",
        "–": "-",  # noqa: RUF001  an en dash
    }
)


class AsciiBar(ScrollBarRender):
    """A scrollbar of whole cells: Textual's own ends in parts of a block."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def in_ascii(text: str) -> str:
    """The same number of cells, without any glyph of ours that is not ASCII."""
    return text.translate(_ASCII)
