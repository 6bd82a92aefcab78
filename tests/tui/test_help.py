"""The help screen: this tab's keys first, two columns where there is room, a search."""

from __future__ import annotations

import pytest

from nexus_tui.app import NexusApp
from nexus_tui.keymap.keys import remapped
from nexus_tui.screens.help import HelpScreen, help_bands, help_lines
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import make_stage
from tests.waiting import until


def make_app() -> NexusApp:
    return NexusApp(make_stage().source, now=fixed_now)


def titles(app: NexusApp) -> list[str]:
    """The first words of the sections, from the top."""
    assert isinstance(app.screen, HelpScreen)
    lines = app.screen.text.lines(*app.screen.text.size)
    return [text.strip() for line in lines for text, style in line if style == "title"]


@pytest.mark.parametrize(
    ("tab", "first"),
    [
        ("1", ["Requests", "Lists", "Everywhere", "Filter of requests"]),
        ("3", ["Backends", "Lists", "Everywhere", "Filter of backends"]),
        ("4", ["Zones", "Lists", "Everywhere"]),
        ("5", ["Costs", "Lists", "Everywhere", "Filter of costs"]),
        ("6", ["Logs", "Lists", "Everywhere", "Filter of logs"]),
    ],
)
async def test_the_keys_of_the_shown_tab_come_first(tab: str, first: list[str]) -> None:
    app = make_app()

    async with app.run_test(size=(80, 36)) as pilot:
        await press(pilot, tab, "?")
        shown = titles(app)

    assert [title for title in shown if title in first][: len(first)] == first
    assert shown[0] == first[0]
    assert len(shown) == len(set(shown))


async def test_there_are_two_columns_from_110_on() -> None:
    app = make_app()

    async with app.run_test(size=(110, 36)) as pilot:
        text = await press(pilot, "3", "?")
        is_beside = any("Backends" in line and "Everywhere" in line for line in text.splitlines())
        await pilot.resize_terminal(109, 36)
        await until(lambda: "Everywhere" not in screen_text(app).splitlines()[5])
        narrow = screen_text(app)

    assert is_beside
    assert not any(" Backends" in line and "Everywhere" in line for line in narrow.splitlines())


async def test_a_search_leaves_the_lines_that_hold_all_its_words() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "?", "/", *"open zone")
        assert isinstance(app.screen, HelpScreen)
        found = titles(app)
        await press(pilot, "escape")
        again = titles(app)

    assert "Cut the open zone at once" in text
    assert "Drain: no new requests" not in text
    assert "Everywhere" in found
    assert "Copy as curl" not in text
    assert "Detail of a request" in again


async def test_a_search_also_finds_by_the_name_of_an_action() -> None:
    app = make_app()

    async with app.run_test(size=(80, 24)) as pilot:
        text = await press(pilot, "?", "/", *"panic")

    assert "Cut the open zone at once" in text


async def test_a_search_that_finds_nothing_says_so() -> None:
    app = make_app()

    async with app.run_test(size=(80, 24)) as pilot:
        text = await press(pilot, "?", "/", *"xyzzy")

    assert "Nothing here holds that." in text


async def test_enter_keeps_the_search_and_esc_leaves_it_before_the_help() -> None:
    app = make_app()

    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "?", "/", *"drain", "enter", "j")
        assert isinstance(app.screen, HelpScreen)
        kept = app.screen.text.search
        await press(pilot, "escape")
        is_open = isinstance(app.screen, HelpScreen)
        await press(pilot, "escape")

        assert kept == "drain"
        assert is_open
        assert not isinstance(app.screen, HelpScreen)


@pytest.mark.parametrize("width", [30, 60, 104, 122])
@pytest.mark.parametrize("is_wide", [False, True])
def test_no_line_is_longer_than_the_box(width: int, is_wide: bool) -> None:
    bands = help_bands(remapped({}), ("lists", "requests", "detail"), "requests")

    lines = help_lines(bands, width, is_wide=is_wide)

    assert max(len("".join(text for text, _ in line)) for line in lines) <= width


def test_own_keys_are_shown() -> None:
    bands = help_bands(remapped({"panic": "ctrl+x"}), ("zones",), None)

    text = ["".join(part for part, _ in line) for line in help_lines(bands, 80, is_wide=False)]

    assert any("ctrl+x" in line and "Cut the open zone" in line for line in text)
