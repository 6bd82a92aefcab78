"""Themes of the dashboard, and the styles of its line widgets."""

from __future__ import annotations

from functools import cache

from rich.console import Console
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

from nexus_tui.draw.palettes import PALETTES, Depth, Palette, palette

THEMES = tuple(PALETTES)


def depth_of(console: Console) -> Depth:
    """How many colours the terminal has, by COLORTERM and TERM."""
    match console.color_system:
        case "truecolor" | "256" as depth:
            return depth
        case _:
            return "standard"


def theme_after(theme: str) -> str:
    """The next theme; after the last one the first."""
    return THEMES[(THEMES.index(theme) + 1) % len(THEMES)]


def note_on(theme: str, depth: Depth) -> str:
    """What to say once a theme was chosen."""
    if depth == "standard":
        return f"theme {theme}; this terminal has its own 16 colours for all themes"
    return f"theme {theme}; theme in [tui] keeps it"


def themes(depth: Depth = "truecolor") -> list[Theme]:
    """The palettes as Textual themes."""
    return [_theme(name, palette(name, depth)) for name in THEMES]


def _theme(name: str, palette: Palette) -> Theme:
    is_ansi = palette.is_own

    def colour(value: str) -> str:
        return f"ansi_{value}" if is_ansi else value

    return Theme(
        name=name,
        primary=colour(palette.blue),
        secondary=colour(palette.violet),
        warning=colour(palette.yellow),
        error=colour(palette.red),
        success=colour(palette.green),
        accent=colour(palette.blue),
        foreground=colour(palette.text),
        background=colour(palette.base),
        surface=colour(palette.base),
        panel=colour(palette.raised),
        dark=palette.is_dark,
        ansi=is_ansi,
        variables=_variables(palette),
    )


def _variables(palette: Palette) -> dict[str, str]:
    """What Textual's own styles refer to: placeholders, selected text, scrollbars."""
    if palette.selected is None:
        return dict(BUILTIN_THEMES["ansi-dark"].variables)
    return {
        "text-disabled": palette.dim,
        "text-muted": palette.dim,
        "input-selection-background": palette.selected,
        "input-selection-foreground": palette.text,
        "scrollbar": palette.faint,
        "scrollbar-hover": palette.dim,
        "scrollbar-active": palette.blue,
        "scrollbar-background": palette.raised,
    }


# What a style is for -> the palette's colour, and whether it is bold: what is wrong is told from
# what is well by more than its colour.
STYLES: dict[str, tuple[str, bool]] = {
    "text": ("text", False),
    "bright": ("bright", True),
    "dim": ("dim", False),
    "faint": ("faint", False),
    "head": ("dim", True),
    "title": ("blue", True),
    "key": ("blue", True),
    "good": ("green", False),
    "warn": ("yellow", False),
    "bad": ("red", True),
    "privacy": ("violet", False),
    "live": ("cyan", False),
    "bar": ("blue", False),
}
# Words on a coloured ground.
FLAGS: dict[str, str] = {"flag": "yellow", "alarm": "red", "tab": "blue"}
# On the row under the cursor they would be hard to read.
_ON_SELECTED = {"dim": "text", "faint": "dim"}


@cache
def style(
    name: str,
    theme: str = "nexus-dark",
    *,
    depth: Depth = "truecolor",
    raised: bool = False,
    selected: bool = False,
    plain: bool = False,
) -> Style:
    """A named style on the base, raised or selected background of a theme.

    `plain` is for NO_COLOR: the selection and flags are then shown in reverse.
    """
    colours = palette(theme, depth)
    if name in FLAGS:
        ground: str = getattr(colours, FLAGS[name])
        if colours.is_own:
            return Style(color=ground, bgcolor=colours.base, bold=True, reverse=True)
        return Style(color=colours.on_flag, bgcolor=ground, bold=True, reverse=plain or None)
    colour, bold = STYLES[name]
    if selected:
        colour = _ON_SELECTED.get(colour, colour)
    reverse = selected and (plain or colours.is_own)
    background = colours.raised if raised else colours.base
    return Style(
        # In reverse every colour would be a ground of its own: one for the whole row.
        color=colours.text if reverse else getattr(colours, colour),
        bgcolor=(colours.selected if selected else None) or background,
        bold=bold or None,
        # SGR 2, as no colour of the terminal's own is sure to be seen.
        dim=(colours.is_own and colour in ("dim", "faint") and not reverse) or None,
        reverse=reverse or None,
    )
