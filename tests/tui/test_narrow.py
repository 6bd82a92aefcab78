"""What a narrow terminal must not lose."""

from __future__ import annotations

import re

import pytest

from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.text.numbers import clock
from nexus_tui.widgets.records.zone_requests import SHOWN, ZoneRequests
from nexus_tui.widgets.zone_board import ZoneBoard
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text, still
from tests.tui.staged import make_stage
from tests.waiting import until


@pytest.mark.parametrize("size", [(59, 15), (80, 24), (120, 36)])
async def test_every_field_of_the_explain_form_is_whole(size: tuple[int, int]) -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=size) as pilot:
        text = await press(pilot, "x", "shift+tab", "left")  # to the last backend

    for field in ("zone [any]", "tier [3]", "stream [yes]", "tools [no]", "backend [exo-lab]"):
        assert field in text


async def test_the_explain_form_follows_the_terminal_s_width() -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        wide = await press(pilot, "x")
        await pilot.resize_terminal(59, 15)
        await until(lambda: screen_text(app).splitlines()[3].strip() == "backend [any]")
        narrow = screen_text(app).splitlines()

    assert "tools [no]   backend [any]" in wide
    assert "── Route ──" in narrow[4]


@pytest.mark.parametrize("size", [(59, 15), (80, 24), (120, 36)])
async def test_the_zones_tell_what_left_the_machine_and_how_to_cut(size: tuple[int, int]) -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=size) as pilot:
        text = await press(pilot, "4")
        stage.gateway.cut_open_zone()
        app.painter.paint()
        cut = await press(pilot)

    assert "0 of them from a cloud" in text
    assert "[!] CUT NOW" in text
    assert "[!] REOPEN (asks)" in cut


@pytest.mark.parametrize(("size", "line"), [((59, 15), 1), ((120, 36), 0)])
async def test_a_click_on_any_line_of_a_zone_selects_it(size: tuple[int, int], line: int) -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=size) as pilot:
        await press(pilot, "4")
        board = app.query_one(ZoneBoard)
        await pilot.click(board, offset=(5, 2 + line))
        clicked = board.selected
        await press(pilot, "j")

    assert clicked is PrivacyZone.RESTRICTED
    assert board.selected is PrivacyZone.OPEN


async def test_the_zones_tab_shows_the_backends_of_the_zone_under_the_cursor() -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        opened = await press(pilot, "4")
        restricted = await press(pilot, "k")

    assert "Backends of the open zone" in opened
    assert "Backends of the restricted zone" in restricted
    assert any("local-llama" in line and "●" in line for line in restricted.splitlines())
    assert not any("local-llama" in line and "●" in line for line in opened.splitlines()[8:])


async def test_backends_without_a_key_are_on_a_small_dashboard_and_in_their_zone() -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(80, 24)) as pilot:
        dashboard = await still(pilot)
        await pilot.resize_terminal(120, 36)
        zones = await press(pilot, "4")

    assert re.search(r"✗ openai-eu +O +unused", dashboard)
    below = zones.partition("Backends of the open zone")[2]
    assert re.search(r"✗ unused +openai-eu", below)


@pytest.mark.parametrize("height", [14, 18, 20, 24])
async def test_where_there_is_little_room_the_zones_come_first(height: int) -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(120, height)) as pilot:
        text = await press(pilot, "4")

    assert "[!] CUT NOW" in text
    assert "in flight:" in text or height < 18


async def test_the_selected_backend_is_shown_below_the_table_where_there_is_room() -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        tall = await press(pilot, "3")
        moved = await press(pilot, "j")
        await pilot.resize_terminal(120, 24)
        await until(lambda: "Last failures" not in screen_text(app))
        low = await press(pilot, "z")

    assert "── local-llama ──" in tall
    assert "Last failures" in tall
    assert "── vllm-a ──" in moved or "── local-llama ──" not in moved
    assert "Last failures" not in low


async def test_the_zones_show_the_requests_of_the_one_under_the_cursor() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 48)) as pilot:
        of_open = await press(pilot, "4")
        of_restricted = await press(pilot, "k")
        needed = app.query_one(ZoneRequests).needed

    rows = [row for row in app.view.rows if row.zone is PrivacyZone.RESTRICTED]
    assert "Requests of the open zone" in of_open
    assert "Requests of the restricted zone" in of_restricted
    assert rows
    assert needed == 3 + min(SHOWN, len(rows))
    newest = max(rows, key=lambda row: (row.is_live, row.seq))
    first = of_restricted.split("Requests of the restricted zone")[1].splitlines()[2]
    assert clock(newest.at) in first


async def test_requests_that_a_cut_ends_stand_above_those_that_are_over() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 48)) as pilot:
        text = await press(pilot, "4")

    running = sum(row.is_live and row.zone is PrivacyZone.OPEN for row in app.view.rows)
    told = text.split("Requests of the open zone")[1]
    assert f"{running} running, which a cut ends" in told
    assert "live" in told.splitlines()[2] or "…" in told.splitlines()[2]
