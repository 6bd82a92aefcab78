"""Screens of a fleet of three: replicas named, what is wrong with which, how a cut reaches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from nexus_core.observe.events import ZoneToggled
from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.screens.palette import Palette
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text, still
from tests.tui.test_snapshots import named, presses
from tests.tui.three import Three, half_cut, logs_of_three, make_three, trouble
from tests.waiting import until

SIZES = [(80, 24), (120, 36), (200, 50)]


@dataclass(frozen=True)
class View:
    keys: tuple[str, ...] = ()
    prepare: Callable[[Three], None] = lambda _: None


SCREENS = {
    "dashboard": View(),
    "trouble": View(("3", "j"), trouble),
    "cut": View(("4",), half_cut),
    "panic": View(("!",), lambda three: three.fleet.tell("box-3", beat_at=NOW - 4.2)),
}


def app_of(three: Three) -> NexusApp:
    logs = logs_of_three()
    logs.last_warning = None
    return NexusApp(three.fleet, now=fixed_now, logs=logs)


@pytest.mark.parametrize("size", SIZES, ids=named)
@pytest.mark.parametrize("view", SCREENS.values(), ids=SCREENS.keys())
def test_screen(snap_compare: Callable[..., bool], view: View, size: tuple[int, int]) -> None:
    three = make_three()
    view.prepare(three)

    assert snap_compare(app_of(three), run_before=presses(view.keys), terminal_size=size)


async def test_the_replica_is_filtered_for_and_named_in_a_request_s_detail() -> None:
    app = app_of(make_three())
    async with app.run_test(size=(160, 40)) as pilot:
        await press(pilot, "2", "/", *"replica:box-2", "enter")
        await still(pilot)
        rows = [line for line in screen_text(app).splitlines() if "…" in line and "box-" in line]
        assert rows
        assert all("box-2" in line for line in rows)
        shown = await press(pilot, "enter")

    assert "replica    box-2" in shown


async def test_where_there_is_one_replica_only_none_is_named_until_another_joins() -> None:
    three = make_three(("box-1",))
    app = app_of(three)
    async with app.run_test(size=(200, 50)) as pilot:
        await press(pilot, "2")
        text = await still(pilot)
        assert "replica" not in text
        assert "box-1" not in text

        joined = make_three(("box-1", "box-2")).fleet.parts["box-2"]
        three.fleet.parts["box-2"] = joined
        await press(pilot, "1", "2", "j", "k")
        text = await still(pilot)
    assert "2 replicas" in text
    assert " replica " in text
    assert "box-1" in text


async def test_requests_are_sorted_by_replica() -> None:
    app = app_of(make_three())
    async with app.run_test(size=(160, 40)) as pilot:
        await press(pilot, "2", "s", "v")
        await still(pilot)

        names = [row.replica for row in list(app.view.view)[::-1]]
    assert names == sorted(names, key=lambda name: name or "")


async def test_the_log_names_the_replica_in_the_order_of_time() -> None:
    app = app_of(make_three())
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        text = await still(pilot)
        found = [line.split()[2] for line in text.splitlines() if "on its port" in line]
        assert found == ["box-1", "box-2", "box-3"]

        await press(pilot, "/", *"replica:box-3", "enter")
        assert "1 of 3" in await still(pilot)


async def test_the_cut_is_watched_until_it_is_closed_and_then_no_longer() -> None:
    three = make_three()
    three.fleet.tell("box-3", beat_at=NOW - 4.2, switches=3)
    app = app_of(three)
    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "!")
        assert "Open zone cut" in shown
        assert "box-1 box-2 cut" in shown
        assert "box-3 silent 4.2 s: its permission lapsed 3.2 s ago" in shown
        assert "2 of 3 confirmed" in shown
        assert three.fleet._watchers == 1

        third = three.stages["box-3"].gateway
        third.registry.set_zone_enabled(PrivacyZone.OPEN, False)
        await until(lambda: "3 of 3 confirmed the cut" in screen_text(app))
        cut = ZoneToggled(at=NOW, zone=PrivacyZone.OPEN, enabled=False, ended=2)
        third.bus.publish(cut)
        await until(lambda: "2 running requests ended on all of them" in screen_text(app))
        shown = await press(pilot, "enter")
        assert "Open zone cut" not in shown
        assert three.fleet._watchers == 0


async def test_a_screen_of_one_nexus_asks_nothing_about_replicas() -> None:
    three = make_three()
    app = NexusApp(three.stages["box-1"].source, now=fixed_now)
    async with app.run_test(size=(200, 50)) as pilot:
        shown = await press(pilot, "!")
        assert "confirmed" not in shown
        assert "replica" not in await press(pilot, "2", "s")


async def test_explain_says_whose_answer_it_is() -> None:
    app = app_of(make_three())
    async with app.run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "2", "j", "x")
        await until(lambda: "as box-1 sees it" in screen_text(app))

    assert "nothing is sent" in shown


async def test_the_palette_has_the_replicas_with_their_numbers_and_shows_their_requests() -> None:
    three = make_three()
    three.fleet.tell("box-3", is_dead=True)
    app = app_of(three)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, ":")
        assert isinstance(app.screen, Palette)
        app.screen._entry.value = "replica "
        shown = await press(pilot)
        assert "24 req, 6 in flight, err 1; beat 0.1 s ago" in shown
        assert "dead" in shown

        app.screen._entry.value = "replica box-2"
        await pilot.pause()
        await press(pilot, "enter")
        await until(lambda: app.tab.id == "requests")

    assert app.view.filter.text == "replica:=box-2"
