"""What the mouse does."""

from __future__ import annotations

from textual.events import MouseScrollDown, MouseScrollUp

from tests.tui.screen import screen_text
from tests.tui.test_pilot import make_app, press
from tests.waiting import until


async def test_a_click_moves_the_cursor_and_a_second_one_opens() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2")
        await pilot.click("#request-list", offset=(20, 5))
        await pilot.click("#request-list", offset=(20, 5))
        await pilot.pause()
        opened = screen_text(app)
        await pilot.click("#tabs", offset=(30, 0))
        await pilot.pause()
        backends = screen_text(app)
        hints = backends.splitlines()[-1]
        await pilot.click("HintBar", offset=(hints.index("D drain") + 1, 0))
        await until(lambda: "Switch local-llama off?" in screen_text(app))
        await pilot.click("#options", offset=(4, 1))
        await pilot.click("#options", offset=(4, 1))
        await until(lambda: "◐ drain" in screen_text(app))

    assert "Request a81f7c" in opened
    assert "lasts until restart" in backends


async def test_the_wheel_moves_the_cursor_and_stops_at_both_ends() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2")
        places = []
        for kind in (MouseScrollUp, MouseScrollDown, MouseScrollDown, MouseScrollUp):
            await pilot._post_mouse_events([kind], "#request-list", offset=(20, 5))
            await pilot.pause()
            places.append(app.tabs.requests.list.cursor)

    assert places == [0, 3, 6, 3]


async def test_a_pane_of_the_detail_is_opened_by_its_title() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "enter")
        titles = screen_text(app).splitlines()[4]
        await pilot.click("#detail", offset=(titles.index("TIMING"), 2))
        await until(lambda: "first byte █" in screen_text(app))
