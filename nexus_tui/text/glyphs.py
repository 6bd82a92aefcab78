"""ASCII replacements of the dashboard's glyphs, cell for cell."""

from __future__ import annotations

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


# A cell for each of these characters, whatever stands beside it.
OF_ONE_CELL = frozenset(map(chr, [*range(32, 127), *_ASCII]))


def in_ascii(text: str) -> str:
    """The same number of cells, without any glyph of ours that is not ASCII."""
    return text.translate(_ASCII)
