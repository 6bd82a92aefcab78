"""The fields of the explain form: what a key does in them, and what is hinted at."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from nexus_tui.app import NexusApp
from nexus_tui.screens.explain import ChoiceField, ExplainScreen
from tests.tui.fleet import fixed_now
from tests.tui.screen import press
from tests.tui.staged import make_stage


def make_app() -> NexusApp:
    return NexusApp(make_stage().source, now=fixed_now)


def screen_of(app: NexusApp) -> ExplainScreen:
    assert isinstance(app.screen, ExplainScreen)
    return app.screen


@pytest.mark.parametrize("key", ["space", "x"])
async def test_a_key_in_the_model_does_not_replace_it(key: str) -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"2jjjx")
        field = screen_of(app).query_one("#model", Input)
        before = field.value
        while app.focused is not field:
            await press(pilot, "tab")
        await press(pilot, key)

        assert before
        assert field.value.startswith(before)


async def test_the_hints_are_of_the_field_that_has_the_focus() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        in_result = (await press(pilot, *"2jjjx")).splitlines()[-1]
        screen = screen_of(app)
        screen.query_one("#model", Input).focus()
        in_text = (await press(pilot, "end")).splitlines()[-1]
        in_choice = (await press(pilot, "tab")).splitlines()[-1]
        is_choice = isinstance(app.focused, ChoiceField)
        to_result = (await press(pilot, "shift+tab", "enter")).splitlines()[-1]

    assert "space what if" in in_result
    assert "tab next field" in in_text
    assert "enter to the result" in in_text
    assert "what if" not in in_text
    assert is_choice
    assert "space next value" in in_choice
    assert "space what if" in to_result


async def test_a_click_on_a_hint_of_a_field_is_as_good_as_its_key() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"2jjjx")
        zone = screen_of(app).query_one("#field-zone", ChoiceField)
        zone.focus()
        line = (await press(pilot, "shift+tab", "tab")).splitlines()[-1]
        before = zone.value
        await pilot.click(screen_of(app).hints, offset=(line.index("next value"), 0))
        await pilot.pause()

        assert zone.value != before
