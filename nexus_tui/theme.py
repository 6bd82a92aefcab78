"""The colours of the dashboard, and the styles that its line widgets draw with."""

from __future__ import annotations

from functools import cache

from rich.style import Style
from textual.theme import Theme

_BASE = "#10141b"
_RAISED = "#1a212c"
_SELECTED = "#24344d"
_TEXT = "#c8d0da"
_BRIGHT = "#f2f5f9"
_DIM = "#7f8b99"
_FAINT = "#3d4856"
_BLUE = "#7cb7ff"
_GREEN = "#7fc98f"
_YELLOW = "#e3bb6d"
_RED = "#f27b7f"
_VIOLET = "#c39bea"
_CYAN = "#6fc7c7"

NEXUS_DARK = Theme(
    name="nexus-dark",
    primary=_BLUE,
    secondary=_VIOLET,
    warning=_YELLOW,
    error=_RED,
    success=_GREEN,
    accent=_BLUE,
    foreground=_TEXT,
    background=_BASE,
    surface=_BASE,
    panel=_RAISED,
    dark=True,
)

# What a style is for -> foreground and attributes.
_STYLES: dict[str, tuple[str, str]] = {
    "text": (_TEXT, ""),
    "bright": (_BRIGHT, "bold"),
    "dim": (_DIM, ""),
    "faint": (_FAINT, ""),
    "head": (_DIM, "bold"),
    "title": (_BLUE, "bold"),
    "key": (_BLUE, "bold"),
    "good": (_GREEN, ""),
    "warn": (_YELLOW, ""),
    "bad": (_RED, ""),
    "privacy": (_VIOLET, ""),
    "live": (_CYAN, ""),
    "bar": (_BLUE, ""),
}
_FLAGS: dict[str, tuple[str, str]] = {
    "flag": (_YELLOW, _BASE),
    "flag-bad": (_RED, _BASE),
    "tab": (_BLUE, _BASE),
}


@cache
def style(name: str, *, raised: bool = False, selected: bool = False, plain: bool = False) -> Style:
    """A named style on the base, raised or selected background.

    `plain` is for NO_COLOR: the selection and flags are then shown in reverse.
    """
    if name in _FLAGS:
        background, foreground = _FLAGS[name]
        return Style(color=foreground, bgcolor=background, bold=True, reverse=plain or None)
    colour, attributes = _STYLES[name]
    background = _SELECTED if selected else _RAISED if raised else _BASE
    return Style(
        color=colour,
        bgcolor=background,
        bold="bold" in attributes or None,
        reverse=(plain and selected) or None,
    )
