"""Contrast of what is sent, in every theme and for every kind of terminal."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style

from nexus_tui.draw.palettes import PALETTES, Depth, palette
from nexus_tui.draw.theme import FLAGS, STYLES, depth_of, style, themes

COLOURED = [name for name, one in PALETTES.items() if not one.is_own]
DEPTHS: list[Depth] = ["truecolor", "256"]
PARTS = ("faint", "bar")  # of the interface: rules and bars
WORDS = [*(name for name in STYLES if name not in PARTS), *FLAGS]


def _sent(color: Color | None, depth: Depth) -> tuple[float, ...]:
    """Red, green and blue of what the terminal is sent, from 0 to 1."""
    assert color is not None
    if depth == "256":
        color = color.downgrade(ColorSystem.EIGHT_BIT)
    return color.get_truecolor().normalized


def _luminance(color: tuple[float, ...]) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(drawn: Style, depth: Depth) -> float:
    lights = sorted(_luminance(_sent(one, depth)) for one in (drawn.color, drawn.bgcolor))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _on_every_ground(name: str, theme: str, depth: Depth) -> list[Style]:
    return [
        style(name, theme, depth=depth, raised=raised, selected=selected)
        for raised in (False, True)
        for selected in (False, True)
    ]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("theme", COLOURED)
@pytest.mark.parametrize("name", WORDS)
def test_words_stand_out_from_every_ground(name: str, theme: str, depth: Depth) -> None:
    wanted = 7 if theme == "nexus-contrast" else 4.5

    assert min(contrast(one, depth) for one in _on_every_ground(name, theme, depth)) >= wanted


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("theme", COLOURED)
@pytest.mark.parametrize("name", PARTS)
def test_parts_of_the_interface_stand_out_too(name: str, theme: str, depth: Depth) -> None:
    assert min(contrast(one, depth) for one in _on_every_ground(name, theme, depth)) >= 3


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("theme", COLOURED)
def test_no_two_meanings_have_the_same_colour(theme: str, depth: Depth) -> None:
    names = ("text", "blue", "green", "yellow", "red", "violet", "cyan")
    colours = asdict(palette(theme, depth))

    sent = {_sent(Color.parse(colours[name]), depth) for name in names}

    assert len(sent) == len(names)


@pytest.mark.parametrize("theme", COLOURED)
def test_of_the_256_colours_none_is_rounded_to_another_hue(theme: str) -> None:
    for colour in asdict(palette(theme, "256")).values():
        if isinstance(colour, str):
            meant, sent = Color.parse(colour), Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT)
            off = zip(meant.get_truecolor(), sent.get_truecolor(), strict=True)
            assert max(abs(one - other) for one, other in off) <= 10, colour


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("theme", COLOURED)
def test_the_grounds_differ(theme: str, depth: Depth) -> None:
    one = palette(theme, depth)

    grounds = {
        _sent(Color.parse(str(each)), depth) for each in (one.base, one.raised, one.selected)
    }

    assert len(grounds) == 3


@pytest.mark.parametrize(
    ("environ", "depth"),
    [
        ({"TERM": "screen-256color"}, "256"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "screen-256color", "COLORTERM": "24bit"}, "truecolor"),
        ({"TERM": "linux"}, "standard"),
        ({"TERM": "vt100"}, "standard"),
    ],
)
def test_the_terminal_says_how_many_colours_it_has(environ: dict[str, str], depth: str) -> None:
    console = Console(force_terminal=True, _environ=environ)

    assert depth_of(console) == depth


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("theme", COLOURED)
def test_what_is_typed_into_and_scrollbars_have_the_palette_s_colours(
    theme: str, depth: Depth
) -> None:
    colours = palette(theme, depth)
    found = next(one.variables for one in themes(depth) if one.name == theme)

    def ratio(words: str, ground: str) -> float:
        return contrast(Style(color=words, bgcolor=ground), depth)

    assert ratio(found["text-disabled"], colours.base) >= 4.5
    assert ratio(found["text-disabled"], colours.raised) >= 4.5
    selected = found["input-selection-background"]
    assert ratio(found["input-selection-foreground"], selected) >= 4.5
    assert ratio(found["scrollbar"], found["scrollbar-background"]) >= 3


@pytest.mark.parametrize("theme", PALETTES)
def test_sixteen_colours_are_the_terminal_s_own(theme: str) -> None:
    assert palette(theme, "standard") == PALETTES["nexus-ansi"]
    assert all(one.ansi for one in themes("standard"))


@pytest.mark.parametrize("raised", [False, True])
@pytest.mark.parametrize("name", ["dim", "faint", "head"])
def test_dim_words_are_the_terminal_s_text_made_fainter(name: str, raised: bool) -> None:
    drawn = style(name, "nexus-ansi", raised=raised)

    assert drawn.dim
    assert drawn.color == Color.parse("default")
    assert not style(name, "nexus-ansi", raised=raised, selected=True).dim


@pytest.mark.parametrize("theme", PALETTES)
def test_what_is_wrong_differs_from_what_is_well_without_colour_too(theme: str) -> None:
    assert style("bad", theme, plain=True).bold
    assert not style("good", theme, plain=True).bold
