from __future__ import annotations

import pytest
from rich.color import ColorType
from rich.style import Style

from nexus_tui.draw.palettes import PALETTES
from nexus_tui.draw.theme import FLAGS, STYLES, THEMES, style
from nexus_tui.text.glyphs import in_ascii


def _on_every_ground(name: str, theme: str) -> list[Style]:
    return [
        style(name, theme, raised=raised, selected=selected)
        for raised in (False, True)
        for selected in (False, True)
    ]


@pytest.mark.parametrize("name", [*STYLES, *FLAGS])
def test_the_ansi_theme_has_only_the_terminal_s_own_colours(name: str) -> None:
    for drawn in _on_every_ground(name, "nexus-ansi"):
        assert drawn.color is not None
        assert drawn.bgcolor is not None
        assert {drawn.color.type, drawn.bgcolor.type} <= {ColorType.DEFAULT, ColorType.STANDARD}


@pytest.mark.parametrize("theme", THEMES)
def test_every_palette_has_every_colour(theme: str) -> None:
    palette = PALETTES[theme]

    assert all(getattr(palette, colour) for colour, _ in STYLES.values())


@pytest.mark.parametrize("theme", THEMES)
def test_without_colours_the_selected_row_is_in_reverse_as_a_whole(theme: str) -> None:
    rows = {
        (drawn.reverse, drawn.color)
        for drawn in (style(name, theme, selected=True, plain=True) for name in STYLES)
    }

    assert len(rows) == 1
    assert all(reverse for reverse, _ in rows)


def test_the_ascii_glyphs_take_as_many_cells() -> None:
    text = "● healthy ◐ ○ ✗ ✓ ◆ █░▁▂▃▄▅▆▇ ─ │ → ← ↑ ↓ … × Δ ≈ –"  # noqa: RUF001

    plain = in_ascii(text)

    assert plain.isascii()
    assert len(plain) == len(text)
