"""What operators did, on the Zones tab, in the banner and in the last line."""

from __future__ import annotations

import os
import pwd

import pytest

from nexus_core.control.actions import Deed
from nexus_core.control.commands import CaptureBodies, SwitchZone
from nexus_core.types import Actor, PrivacyZone, Via
from nexus_tui.sources.local_actor import local_actor
from nexus_tui.sources.remote import RemoteSource
from tests.running import served
from tests.tui.fake_gateway import NOW
from tests.tui.screen import press, screen_text
from tests.tui.sources.test_remote import make_gateway
from tests.tui.staged import make_stage
from tests.tui.test_attach import attached
from tests.tui.test_states import make_app
from tests.waiting import until

ALICE = Actor(via=Via.ATTACHED, name="alice", address="10.0.0.5", session="a11ce000")


async def test_the_last_things_that_operators_did_are_on_the_zones_tab() -> None:
    stage = make_stage()
    app = make_app(stage)
    actions = stage.gateway.actions
    for number in range(12):
        actions.note(ALICE, Deed("tier_set", "vllm-a", f"did {number}"), effect="[/] it was 2")
    actions.note(ALICE, Deed("tier_set", "x", "set the tier of x to 4"), error="no backend 'x'")

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "4", "!")
        await until(lambda: "you cut the open zone" in screen_text(app))
        text = screen_text(app)

    assert "14:02:31  you cut the open zone" in text
    assert "alice attached from 10.0.0.5 set the tier of x to 4: FAILED, no backend 'x'" in text
    assert "alice attached from 10.0.0.5 did 11: [/] it was 2" in text
    assert "did 3:" not in text
    assert text.index("you cut the open zone") < text.index("did 11") < text.index("did 10")


async def test_without_a_change_the_zones_tab_says_so() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "4")

    assert "Nobody has changed anything." in text


async def test_what_was_done_another_day_has_its_date() -> None:
    stage = make_stage()
    stage.gateway.actions._now = lambda: NOW - 3 * 86_400
    stage.gateway.actions.note(ALICE, Deed("capture_started", None, "started body capture"))
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "4")

    assert "06 Jan 14:02  alice attached from 10.0.0.5 started body capture" in text


async def test_on_a_small_screen_the_zones_come_first() -> None:
    stage = make_stage()
    stage.gateway.actions.note(ALICE, Deed("capture_started", None, "started body capture"))
    app = make_app(stage)

    async with app.run_test(size=(60, 15)) as pilot:
        text = await press(pilot, "4")

    assert "started body capture" not in text
    assert "Affected models" in text


async def test_what_another_operator_does_is_said_in_the_last_line_and_the_banner() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(160, 36)) as pilot:
        await press(pilot, "1")
        await stage.gateway.execute(SwitchZone(zone=PrivacyZone.OPEN, enabled=False), ALICE)
        banner = "OPEN ZONE CUT 14:02:31 by alice attached from 10.0.0.5: 0 requests ended"
        await until(lambda: banner in screen_text(app))
        said = "│ alice attached from 10.0.0.5 cut the open zone"
        await until(lambda: said in screen_text(app).splitlines()[-1])


async def test_a_cut_of_before_the_screen_began_is_told_with_its_operator() -> None:
    stage = make_stage()
    await stage.gateway.execute(SwitchZone(zone=PrivacyZone.OPEN, enabled=False), ALICE)
    stage.source.drain()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "1")

    assert "OPEN ZONE CUT 14:02:31 by alice attached from 10.0.0.5   until reopened" in text


async def test_what_one_does_oneself_is_no_news() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "B")
        await until(lambda: "done" in screen_text(app).splitlines()[-1])
        app._notices._clear("done")
        app._notices.warn()

    assert app._notices._news is None
    assert stage.gateway.commands == [CaptureBodies(enabled=True)]


async def test_two_dashboards_tell_each_others_doings_from_their_own() -> None:
    gateway = make_gateway()
    async with (
        served(gateway) as url,
        attached(RemoteSource(url)) as mine,
        RemoteSource(url) as other,
    ):
        await other.connect()
        mine.show_tab("zones")
        await mine.source.command(SwitchZone(zone=PrivacyZone.OPEN, enabled=False))
        await until(lambda: "you cut the open zone" in screen_text(mine))
        await until(lambda: "by you: 0 requests" in screen_text(mine))
        await other.command(CaptureBodies(enabled=True))
        said = "somebody attached from 127.0.0.1 started body capture"
        await until(lambda: said in screen_text(mine))

        async with attached(RemoteSource(url)) as late:
            late.show_tab("zones")
            cut = "somebody attached from 127.0.0.1 cut the open zone"
            await until(lambda: cut in screen_text(late))
            by = "by somebody attached from 127.0.0.1: 0 requests"
            await until(lambda: by in screen_text(late))


def test_the_operator_at_the_screen_is_the_user_of_the_process() -> None:
    assert local_actor() is local_actor()
    assert local_actor().via is Via.SCREEN
    assert local_actor().name == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_that_no_file_names_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123)

    assert local_actor.__wrapped__().name == "user 4000123"
