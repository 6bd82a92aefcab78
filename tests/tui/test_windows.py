"""The numbers of a window, as an operator reads them after an incident."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from nexus_core.config.tui import TuiConfig
from nexus_core.observe.events import RequestRefused
from nexus_core.observe.windows.marks import Marks
from nexus_core.observe.windows.window import Window
from nexus_core.types import CountMethod, HealthStatus, PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.draw.theme import style
from tests.tui.fake_gateway import NOW, FakeGateway
from tests.tui.fleet import Story, fixed_now, make_source, publish, seen
from tests.tui.screen import press
from tests.tui.staged import make_stage

BAD = Story(0, "gpt-4o", "openai", status=502, error="answered 502", total_ms=30_000.0)
GOOD = Story(0, "gpt-4o", "openai", total_ms=100.0)


class Incident:
    """Nine errors and one answer, ten minutes ago; three answers since."""

    def __init__(self) -> None:
        source, self.gateway = make_source(plays=False)
        self.at = 0.0
        self.gateway.windows = self.marks = Marks(self.gateway.stats, lambda: self.at)
        for number in range(9):
            publish(self.gateway, f"bad{number}", BAD)
        publish(self.gateway, "slow", replace(GOOD, total_ms=30_000.0))
        self.marks.make()
        self.at = 600.0
        for number in range(3):
            publish(self.gateway, f"good{number}", GOOD)
        self.marks.make()
        self.app = NexusApp(source, now=fixed_now)


def kpis(text: str) -> str:
    """The lines of key figures."""
    return "\n".join(text.splitlines()[2:5])


async def test_numbers_recover_from_an_incident_and_w_turns_the_window() -> None:
    incident = Incident()

    async with incident.app.run_test(size=(120, 36)) as pilot:
        five = kpis(await press(pilot, "1"))
        hour, start, minute, again = [kpis(await press(pilot, "W")) for _ in range(4)]
        hints = await press(pilot, "?")

    assert five.startswith(" last 5 min   requests 3 ")
    assert "total p50 99 ms   p99 99 ms" in five  # 100 ms, as exact as a histogram is
    assert "errors 0 " in five
    assert hour.startswith(" last 1 h   requests 13 ")
    assert "errors 9 (69 %)" in hour
    assert start.startswith(" since start   requests 13 ")
    assert "errors 9 (69 %)" in start
    assert minute.startswith(" last 1 min   requests 3 ")
    assert again == five
    assert "Numbers of the last 1 min, 5 min" in hints  # in a column of its own


async def test_numbers_of_a_nexus_without_windows_are_said_to_be_since_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    incident = Incident()
    monkeypatch.setattr(type(incident.app.source), "has_windows", False)
    monkeypatch.setattr(incident.app.source, "counted_before", lambda _: None)

    async with incident.app.run_test(size=(160, 36)) as pilot:
        shown = kpis(await press(pilot, "1"))
        turned = await press(pilot, "W")
        backends = await press(pilot, "3")

    assert shown.startswith(" since start   requests 13 ")
    assert kpis(turned) == shown
    assert "too old" in turned.splitlines()[-1]
    assert " since start ──" in backends


async def test_the_window_of_the_start_is_that_of_the_configuration() -> None:
    stage = make_stage()
    tui = TuiConfig(window="1h")
    stage.gateway.config = stage.gateway.config.model_copy(update={"tui": tui})

    async with NexusApp(stage.source, now=fixed_now).run_test(size=(120, 36)) as pilot:
        shown = await press(pilot, "1")

    assert shown.splitlines()[2].startswith(" last 1 h ")


async def test_rows_of_backends_and_the_zones_tab_have_the_same_window() -> None:
    incident = Incident()

    async with incident.app.run_test(size=(120, 36)) as pilot:
        five = await press(pilot, "1")
        zones = await press(pilot, "4")
        hour_of_zones = await press(pilot, "W")
        hour = await press(pilot, "1")

    def row(text: str) -> str:
        return next(line for line in text.splitlines() if " openai " in line)

    assert "── last 5 min ─" in five
    assert "0.0 %" in row(five)
    assert "── last 1 h ─" in hour
    assert "0.0 %" not in row(hour)
    assert "last 5 min:   0 restricted   3 open" in zones
    assert "last 1 h:   0 restricted   13 open" in hour_of_zones


async def test_a_narrow_screen_names_the_window_too() -> None:
    incident = Incident()

    async with incident.app.run_test(size=(80, 24)) as pilot:
        five = kpis(await press(pilot, "1"))
        start = kpis(await press(pilot, "W", "W"))

    assert five.startswith(" 5 min  req 3  total p50 ")
    assert start.startswith(" since start  req 13  total p50 ")


def refuse(gateway: FakeGateway) -> None:
    """One of each kind of refusal."""
    refusal = Story(0, "m", None, None, status=503, first_ms=None, tokens=None, error="no")
    publish(
        gateway, "p", replace(refusal, considered=(seen("openai", None, "zone", "restricted"),))
    )
    gateway.cut_open_zone()
    for name in ("c1", "c2"):
        considered = (seen("openai", None, "enabled", "the open zone is switched off"),)
        publish(gateway, name, replace(refusal, considered=considered))
    for number in range(3):
        gateway.bus.publish(
            RequestRefused(at=NOW, request_id=f"t{number}", path="/", status=401, code="no_key")
        )


async def test_each_kind_of_refusal_has_a_label_of_its_own_everywhere() -> None:
    source, gateway = make_source(plays=False)
    refuse(gateway)
    app = NexusApp(source, now=fixed_now)

    async with app.run_test(size=(150, 36)) as pilot:
        dashboard = await press(pilot, "1")
        zones = await press(pilot, "4")

    for label in ("refused by the cut 2", "refused for privacy 1", "turned away 3"):
        assert label in dashboard
    assert "errors 3 (100 %)" in dashboard
    assert "1 refused for privacy   2 refused by the cut" in zones
    assert ": 2 requests ended, 2 refused by the cut, 0 answered elsewhere" in zones
    for text in (dashboard, zones):
        assert "refused " not in text.replace("refused by the cut", "").replace(
            "refused for privacy", ""
        )


async def test_tokens_that_nexus_counted_itself_are_among_them_with_a_sign() -> None:
    source, gateway = make_source(plays=False)
    publish(gateway, "one", GOOD)
    record = gateway.recent.get("one")
    assert record is not None
    app = NexusApp(source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        reported = await press(pilot, "1")
        record.counted = CountMethod.ESTIMATED
        gateway.stats._count_tokens(record, gateway.stats.backend("openai"))
        counted = await press(pilot, "ctrl+l")

    assert "tokens 412+220 " in reported
    assert "tokens ≈824+440 " in counted


@pytest.mark.parametrize("is_ascii", [False, True])
async def test_a_zone_without_a_usable_backend_is_not_drawn_as_cut(is_ascii: bool) -> None:
    source, gateway = make_source(plays=False)
    for name in ("openai", "other-cloud"):
        down = structs.replace(gateway.registry.snapshot(name), health=HealthStatus.UNHEALTHY)
        gateway.registry.change(down, models_are_configured=True)
    app = NexusApp(source, now=fixed_now)
    app.draws_ascii = is_ascii

    async with app.run_test(size=(120, 36)) as pilot:
        down_text = await press(pilot, "1")
        gateway.registry.set_zone_enabled(PrivacyZone.OPEN, False)
        cut = await press(pilot, "ctrl+l")

    assert f"zones R{'*' if is_ascii else '●'} O 0/2 " in down_text
    assert f"O{'x' if is_ascii else '✗'} " in cut


def test_the_red_of_errors_goes_with_them() -> None:
    assert style("bad") != style("text")
    incident = Incident()
    kpi = incident.app.tabs.dashboard.kpis
    view, frames = incident.app.view, incident.app.frames

    def of_errors() -> str:
        (line,) = [line for line in kpi.lines(120, 5) if ("errors ", "dim") in line]
        return line[line.index(("errors ", "dim")) + 1][1]

    assert of_errors() == "text"
    view.window = Window.HOUR
    frames.renew()
    assert of_errors() == "bad"
