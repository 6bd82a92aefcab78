"""ASCII replacements of the dashboard's glyphs, cell for cell."""

from __future__ import annotations

from rich.cells import cell_len

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
        "▸": "+",
        "▾": "-",
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
        "…": ".",
        "·": "|",
        "×": "x",  # noqa: RUF001  the sign of a product
        "Δ": "d",
        "≥": ">",
        "≈": "~",
        "–": "-",  # noqa: RUF001  an en dash
    }
)


_OF_ONE_CELL = frozenset(map(chr, [*range(32, 127), *_ASCII]))


def cells_of(text: str) -> int:
    """How many cells a text takes; of one without line ends, tabs and the like."""
    if text.isascii() or _OF_ONE_CELL.issuperset(text):
        return len(text)
    return cell_len(text)


def in_ascii(text: str) -> str:
    """The same number of cells, without any glyph of ours that is not ASCII."""
    return text.translate(_ASCII)
