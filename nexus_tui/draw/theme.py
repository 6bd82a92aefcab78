"""Themes of the dashboard, and the styles of its line widgets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a theme, as `#rrggbb` or by a name of the terminal's own."""

    base: str
    raised: str  # bars and dialogs
    selected: str | None  # the row under the cursor; None: shown in reverse
    text: str
    bright: str
    dim: str
    faint: str  # rules and the empty part of bars
    blue: str
    green: str
    yellow: str
    red: str
    violet: str
    cyan: str
    on_flag: str  # the words of a flag, on yellow, blue or red
    is_dark: bool = True


PALETTES: dict[str, Palette] = {
    "nexus-dark": Palette(
        base="#10141b",
        raised="#1a212c",
        selected="#24344d",
        text="#c8d0da",
        bright="#f2f5f9",
        dim="#7f8b99",
        faint="#3d4856",
        blue="#7cb7ff",
        green="#7fc98f",
        yellow="#e3bb6d",
        red="#f27b7f",
        violet="#c39bea",
        cyan="#6fc7c7",
        on_flag="#10141b",
    ),
    "nexus-light": Palette(
        base="#fafbfc",
        raised="#eceff3",
        selected="#d5e4f7",
        text="#2b333d",
        bright="#0b0f14",
        dim="#5b6673",
        faint="#b9c2cc",
        blue="#0b58b0",
        green="#1b6e34",
        yellow="#805300",
        red="#b3202a",
        violet="#6d3ab0",
        cyan="#0c6a70",
        on_flag="#ffffff",
        is_dark=False,
    ),
    # Every colour of words stands out from every background by 7:1 at least (WCAG AAA).
    "nexus-contrast": Palette(
        base="#000000",
        raised="#111111",
        selected="#00255c",
        text="#ffffff",
        bright="#ffffff",
        dim="#d0d0d0",
        faint="#bcbcbc",
        blue="#8fd0ff",
        green="#7dff9b",
        yellow="#ffd84d",
        red="#ffabab",
        violet="#e6c4ff",
        cyan="#6ff5f5",
        on_flag="#000000",
    ),
    # The terminal's own sixteen, on its own background.
    "nexus-ansi": Palette(
        base="default",
        raised="default",
        selected=None,
        text="default",
        bright="default",
        dim="bright_black",
        faint="bright_black",
        blue="blue",
        green="green",
        yellow="yellow",
        red="red",
        violet="magenta",
        cyan="cyan",
        on_flag="black",
    ),
}
THEMES = tuple(PALETTES)


def themes() -> list[Theme]:
    """The palettes as Textual themes."""
    return [_theme(name, palette) for name, palette in PALETTES.items()]


def _theme(name: str, palette: Palette) -> Theme:
    is_ansi = palette.selected is None

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
        # What Textual's own styles refer to in a theme of the terminal's colours.
        variables=dict(BUILTIN_THEMES["ansi-dark"].variables) if is_ansi else {},
    )


# What a style is for -> the palette's colour, and whether it is bold.
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
    "bad": ("red", False),
    "privacy": ("violet", False),
    "live": ("cyan", False),
    "bar": ("blue", False),
}
# Words on a coloured ground.
FLAGS: dict[str, str] = {"flag": "yellow", "alarm": "red", "tab": "blue"}


@cache
def style(
    name: str,
    theme: str = "nexus-dark",
    *,
    raised: bool = False,
    selected: bool = False,
    plain: bool = False,
) -> Style:
    """A named style on the base, raised or selected background of a theme.

    `plain` is for NO_COLOR: the selection and flags are then shown in reverse.
    """
    palette = PALETTES[theme]
    if name in FLAGS:
        ground: str = getattr(palette, FLAGS[name])
        return Style(color=palette.on_flag, bgcolor=ground, bold=True, reverse=plain or None)
    colour, bold = STYLES[name]
    reverse = selected and (plain or palette.selected is None)
    background = palette.raised if raised else palette.base
    return Style(
        # In reverse every colour would be a ground of its own: one for the whole row.
        color=palette.text if reverse else getattr(palette, colour),
        bgcolor=(palette.selected if selected else None) or background,
        bold=bold or None,
        reverse=reverse or None,
    )
