"""Palettes of the themes, picked by hand for true colour and for 256 colours.

Words have a contrast of 4.5:1 on every ground, parts of the interface 3:1 (WCAG 2.2, 1.4.3 and
1.4.11); nexus-contrast has 7:1 throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

# Colours of a terminal, in Rich's words: 16 million, 256, or its own sixteen.
Depth: TypeAlias = Literal["truecolor", "256", "standard"]


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

    @property
    def is_own(self) -> bool:
        """Whether these are the terminal's own colours, on its own background."""
        return self.selected is None


PALETTES: Mapping[str, Palette] = {
    "nexus-dark": Palette(
        base="#10141b",
        raised="#1a212c",
        selected="#263a59",
        text="#c8d0da",
        bright="#f2f5f9",
        dim="#8a96a4",
        faint="#647182",
        blue="#7cb7ff",
        green="#7fc98f",
        yellow="#e3bb6d",
        red="#f58a8d",
        violet="#c9a5ee",
        cyan="#6fc7c7",
        on_flag="#10141b",
    ),
    "nexus-light": Palette(
        base="#fafbfc",
        raised="#eceff3",
        selected="#cbddf5",
        text="#2b333d",
        bright="#0b0f14",
        dim="#5b6673",
        faint="#7d8792",
        blue="#0b58b0",
        green="#1b6e34",
        yellow="#7a4f00",
        red="#b3202a",
        violet="#6d3ab0",
        cyan="#0c6a70",
        on_flag="#ffffff",
        is_dark=False,
    ),
    "nexus-contrast": Palette(
        base="#000000",
        raised="#111111",
        selected="#002b6e",
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
    # Its words on flags are the terminal's background: a flag is its colour in reverse.
    "nexus-ansi": Palette(
        base="default",
        raised="default",
        selected=None,
        text="default",
        bright="default",
        dim="default",
        faint="default",
        blue="blue",
        green="green",
        yellow="yellow",
        red="red",
        violet="magenta",
        cyan="cyan",
        on_flag="default",
    ),
}

# Rich rounds a colour that is not among the 256 to one that may be another hue altogether. Each
# of these is one of them, but for greys: those are what it rounds to the wanted step.
_PALETTES_256: Mapping[str, Palette] = {
    "nexus-dark": Palette(
        base="#121212",
        raised="#262626",
        selected="#3a3a3a",
        text="#d0d0d0",
        bright="#eeeeee",
        dim="#9a9a9a",
        faint="#767676",
        blue="#87afff",
        green="#87d787",
        yellow="#ffd787",
        red="#ff8787",
        violet="#d7afff",
        cyan="#87d7d7",
        on_flag="#121212",
    ),
    "nexus-light": Palette(
        base="#ffffff",
        raised="#eeeeee",
        selected="#d7d7ff",
        text="#262626",
        bright="#000000",
        dim="#585858",
        faint="#767676",
        blue="#005faf",
        green="#005f00",
        yellow="#5f5f00",
        red="#af0000",
        violet="#8700af",
        cyan="#005f5f",
        on_flag="#ffffff",
        is_dark=False,
    ),
    "nexus-contrast": replace(
        PALETTES["nexus-contrast"],
        raised="#121212",
        selected="#0000af",
        blue="#87d7ff",
        green="#87ff87",
        yellow="#ffff5f",
        red="#ffafaf",
        violet="#d7d7ff",
        cyan="#5fffff",
    ),
    "nexus-ansi": PALETTES["nexus-ansi"],
}


def palette(theme: str, depth: Depth = "truecolor") -> Palette:
    """Colours of a theme on such a terminal.

    One of sixteen colours has them its own way, and no theme can know how: it gets its own ones.
    """
    if depth == "truecolor":
        return PALETTES[theme]
    return _PALETTES_256[theme] if depth == "256" else PALETTES["nexus-ansi"]
