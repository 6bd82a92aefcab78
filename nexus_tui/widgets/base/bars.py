"""Sparklines and gauges of block glyphs."""

from __future__ import annotations

from collections.abc import Sequence

_LEVELS = " ▁▂▃▄▅▆▇█"


def spark(values: Sequence[int], width: int, rows: int = 1) -> list[str]:
    """The newest `width` values as columns, from the top row down; the highest fills all rows."""
    shown = [0] * max(0, width - len(values)) + list(values[-width:])
    top = max(shown, default=0)
    steps = 8 * rows
    # Anything above zero is seen, however small.
    heights = [0 if not value else max(1, round(steps * value / top)) for value in shown]
    lines: list[str] = []
    for row in reversed(range(rows)):
        floor = 8 * row
        lines.append("".join(_LEVELS[min(8, max(0, height - floor))] for height in heights))
    if rows and width:
        lines[-1] = lines[-1].replace(" ", "▁")
    return lines


def gauge(part: float, whole: float, width: int) -> tuple[str, str]:
    """A bar of `width` cells: its filled and its empty part."""
    share = min(1.0, part / whole) if whole else 0.0
    filled = round(share * width)
    if share > 0:
        filled = max(1, filled)
    return "█" * filled, "░" * (width - filled)
