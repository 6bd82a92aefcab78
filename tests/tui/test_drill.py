"""From a backend, reason, zone or cost line to its requests, and back to where the cursor was."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from nexus_tui.app import NexusApp
from nexus_tui.text.numbers import short_id
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text, still
from tests.tui.staged import make_stage

WIDE = (120, 36)


def make_app(*, has_costs: bool = False) -> NexusApp:
    return NexusApp(make_stage(has_costs=has_costs).source, now=fixed_now)


def backends_shown(app: NexusApp) -> set[str | None]:
    return {row.backend for row in app.view.view}


async def test_a_backend_leads_to_its_requests_and_back_to_its_row() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "3", "j")
        text = await press(pilot, "l")
        assert backends_shown(app) == {"vllm-a"}
        assert "filter: backend:=vllm-a" in text
        text = await press(pilot, "escape")

        assert "lasts until restart" in text
        assert app.tabs.backends.table.selected_name == "vllm-a"
        assert app.view.filter.text == ""


async def test_what_was_filtered_before_is_filtered_again_on_the_way_back() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "2", "/", *"gpt", "enter", "E", "3", "j", "l")
        assert not app.view.errors_only
        await press(pilot, "escape", "2")

        assert app.view.filter.text == "gpt"
        assert app.view.errors_only


async def test_another_filter_ends_the_way_back() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "3", "j", "l", "/", "end", *" status:2xx", "enter")
        assert app.view.filter.text == "backend:=vllm-a status:2xx"
        text = await press(pilot, "escape")

        assert "── Requests ──" in text
        assert app.view.filter.text == ""


async def test_a_backend_in_full_is_in_full_again() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "3", "j", "enter", "l")
        assert backends_shown(app) == {"vllm-a"}
        text = await press(pilot, "escape")

        assert "Last failures" in text


async def test_free_room_below_a_backend_has_its_newest_requests() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "3", "j", "enter")

    listed = text.partition("Last requests")[2].splitlines()[1:-1]
    own = [row for row in reversed(app.view.rows) if row.backend == "vllm-a"]
    assert own
    told = [line.split()[1] for line in listed if line.strip()]
    assert told == [short_id(row.request_id) for row in own[: len(told)]]


@pytest.mark.parametrize("key", ["l", "enter"])
async def test_a_cost_line_leads_to_its_requests(key: str) -> None:
    app = make_app(has_costs=True)

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "5", "j")
        await press(pilot, key)
        assert app.view.filter.text == "model:=gpt-next backend:=openai"
        await press(pilot, "escape", "tab", key)
        assert app.view.filter.text == "backend:=openai"
        text = await press(pilot, "escape", "tab", key)
        assert app.view.filter.text == "key:=ci"
        assert "── Requests ──" in text


async def test_a_zone_leads_to_its_requests() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "4", "k", "l")
        assert {row.zone for row in app.view.view} == {"restricted"}
        assert "── Zones ──" in await press(pilot, "escape")


@pytest.mark.parametrize(
    ("key", "filtered"),
    [
        ("m", "model:=o-large"),
        ("b", "backend:=openai"),
        ("c", "key:=ci"),
        ("r", "reason:=backend-failover"),
        ("z", "zone:=open"),
        ("s", "status:=200"),
        ("a", "api:=chat"),
    ],
)
async def test_a_request_leads_to_those_like_it(key: str, filtered: str) -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "2", *"jjj", "l", key)
        assert app.view.filter.text == filtered
        assert app.view.filter.problem is None
        assert "a81f7c" in {row.request_id for row in app.view.view}
        await press(pilot, "escape")

        selected = app.tabs.requests.selected
        assert selected is not None
        assert selected.request_id == "a81f7c"


async def test_a_request_in_full_is_in_full_again_and_then_its_tab_is_shown() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, *"jjj", "enter", "tab", "l", "b")
        assert "── Requests ──" in screen_text(app)
        text = await press(pilot, "escape")
        assert "Request a81f7c" in text
        assert app.tabs.requests.detail.pane == "ANSWER"
        text = await press(pilot, "escape")
        assert "── Live ──" in text


# Panes of the dashboard ---------------------------------------------------------------------------


async def focus(pilot: Pilot[None], app: NexusApp, pane: str) -> None:
    await still(pilot)
    while app.tabs.dashboard.pane != pane:
        await press(pilot, "tab")


async def test_tab_reaches_every_pane_of_the_dashboard() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await still(pilot)
        seen = []
        for _ in range(3):
            await press(pilot, "tab")
            seen.append(app.tabs.dashboard.pane)
        await press(pilot, "shift+tab")

        assert seen == ["backends", "reasons", "list"]
        assert app.tabs.dashboard.pane == "reasons"


async def test_in_the_pane_of_backends_keys_move_open_and_switch_nothing() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=WIDE) as pilot:
        await focus(pilot, app, "backends")
        await press(pilot, "j", "space", "m", "D", "K")
        assert app.tabs.dashboard.panel.selected == "vllm-a"
        assert "▌● healthy  vllm-a" in screen_text(app)
        assert stage.gateway.commands == []
        assert app.view.marked == []
        text = await press(pilot, "enter")
        assert "── vllm-a ──" in text
        text = await press(pilot, "escape")
        assert "── Live ──" in text
        assert app.tabs.dashboard.panel.selected == "vllm-a"
        await press(pilot, "l")
        assert backends_shown(app) == {"vllm-a"}
        await press(pilot, "escape", "escape")
        assert app.tabs.dashboard.pane == "list"


async def test_a_pane_of_many_backends_scrolls_with_the_cursor() -> None:
    app = make_app()

    async with app.run_test(size=(80, 24)) as pilot:
        await focus(pilot, app, "backends")
        await press(pilot, "G")
        panel = app.tabs.dashboard.panel
        name = panel.selected
        assert name is not None
        assert name in screen_text(app)
        assert app.tabs.dashboard._panes == ["list", "backends"]


async def test_no_line_stays_marked_when_two_backends_come_to_share_one() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await focus(pilot, app, "backends")
        await press(pilot, "j")
        panel = app.tabs.dashboard.panel
        assert any(map(panel.line_is_selected, range(panel.size.height)))
        await pilot.resize_terminal(80, 24)
        await still(pilot)

        assert not any(map(panel.line_is_selected, range(panel.size.height)))
        assert panel.selected == "vllm-a"


async def test_a_reason_leads_to_its_requests() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await focus(pilot, app, "reasons")
        await press(pilot, "G", "enter")
        assert {row.reason for row in app.view.view} == {"backend-failover"}
        await press(pilot, "escape")
        assert app.tabs.dashboard.pane == "reasons"


async def test_a_reason_is_clicked() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        text = await still(pilot)
        y, line = next((y, x) for y, x in enumerate(text.split("\n")) if "capacity-overflow" in x)
        await pilot.click(offset=(line.index("capacity-overflow") + 3, y))
        await pilot.pause()

        assert app.view.filter.text == "reason:=capacity-overflow"


async def test_a_pane_that_is_gone_leaves_the_keys_to_the_list() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await focus(pilot, app, "reasons")
        await pilot.resize_terminal(60, 15)
        await pilot.pause()

        assert app.tabs.dashboard.pane == "list"
