"""The Costs tab by period and grouping: keys, clicks, copy, export, and how often it is read."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from nexus_core.errors import LedgerUnreadableError
from nexus_core.money.cost_lines import CostLines
from nexus_core.money.ledger_queries import By, CostLine
from nexus_core.money.months import Day, Month, Period
from nexus_tui.app import NexusApp
from nexus_tui.view.costs.choice import CostChoice, Span, keep_cost_lines
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import fixed_now
from tests.tui.screen import screen_text
from tests.tui.staged import COSTS, Stage, make_stage
from tests.waiting import until

TODAY, MONTH = Day.of(NOW), Month.of(NOW)


def line(name: str | None, cost: int = 1_000_000_000, **more: int) -> CostLine:
    values = {
        "requests": 3,
        "failed": 0,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost_nano_usd": cost,
        "estimated_nano_usd": 0,
        "unpriced": 0,
        "saved_nano_usd": 0,
        **more,
    }
    return CostLine(name=name, **values)


LINES: dict[tuple[By, str], list[CostLine]] = {
    (By.DAY, str(MONTH)): [line(str(TODAY.before)), line(str(TODAY))],
    (By.HOUR, str(TODAY)): [line(f"{TODAY} 08:00"), line(f"{TODAY} 13:00")],
    (By.MODEL, str(MONTH.before)): [line("old-model", unpriced=2), line(None, cost=0)],
    (By.MODEL, str(TODAY)): [line("=today()")],
}


def staged() -> Stage:
    stage = make_stage(plays=False)
    stage.source.costs = stage.gateway.costs = COSTS
    stage.gateway.lines = {**LINES}
    return stage


async def shown(stage: Stage, *keys: str, click: tuple[int, int] | None = None) -> list[str]:
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(120, 36)) as pilot:
        for key in ("5", *keys):
            await pilot.press(key)
            await pilot.pause()
        if click is not None:
            await pilot.click(offset=click)
            await pilot.pause()
        choice = app.tabs.costs.table.choice
        await until(lambda: choice.rows(COSTS) is not None or choice.problem is not None)
        await pilot.pause()
        text = screen_text(app)
    assert app.crash is None
    return text.splitlines()


@pytest.mark.parametrize(
    ("keys", "title", "first"),
    [
        ((), f"this month ({MONTH})", "▌gpt-4o "),
        (("tab",) * 6, f"this month ({MONTH}) in US dollars, UTC ── newest first", f"▌{TODAY} "),
        (("tab",) * 8, f"this month ({MONTH})", "▌gpt-4o "),
        (("p",), f"last month ({MONTH.before})", "▌old-model "),
        (("p", "p"), f"today ({TODAY})", "▌=today() "),
        (("p", "p", "shift+tab"), f"today ({TODAY})", f"▌{TODAY} 13:00 "),
        (("p",) * 3, f"yesterday ({TODAY.before})", " No recorded requests yesterday."),
        (("p",) * 4, f"this month ({MONTH})", "▌gpt-4o "),
    ],
)
async def test_keys_turn_the_period_and_the_grouping(
    keys: tuple[str, ...], title: str, first: str
) -> None:
    lines = await shown(staged(), *keys)

    assert title in lines[2]
    assert lines[9].startswith(first)


async def test_periods_and_groupings_can_be_clicked() -> None:
    plain = await shown(staged())
    at_day, at_last = plain[7].index(" day "), plain[6].index("last month")
    by_day = await shown(staged(), click=(at_day + 2, 7))
    last_month = await shown(staged(), click=(at_last + 2, 6))
    between = await shown(staged(), click=(119, 7))

    assert by_day[9].startswith(f"▌{TODAY} ")
    assert last_month[9].startswith("▌old-model ")
    assert between[9].startswith("▌gpt-4o ")


async def test_the_sum_of_what_is_listed_is_told() -> None:
    last_month = await shown(staged(), "p")
    by_day = await shown(staged(), *("tab",) * 6)

    assert "6 requests, ≥ $1.0000" in last_month[7]
    assert "6 requests, $2.0000" in by_day[7]


@pytest.mark.parametrize(
    ("width", "told"),
    [(120, "6 requests, ≥ $1.0000"), (70, "≥ $1.0000"), (55, "")],
)
async def test_a_sum_that_does_not_fit_is_not_cut(width: int, told: str) -> None:
    stage = staged()
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.press("5", "p")
        choice = app.tabs.costs.table.choice
        await until(lambda: choice.rows(COSTS) is not None)
        await pilot.pause()
        lines = screen_text(app).splitlines()

    (groupings,) = (line for line in lines if "by model" in line)
    assert groupings.partition(" hour ")[2].strip() == told


async def test_days_are_sorted_by_choice_too() -> None:
    stage = staged()
    stage.gateway.lines[By.DAY, str(MONTH)] = [line("2026-01-01", 1), line("2026-01-02", 5)]
    lines = await shown(stage, *("tab",) * 6, "s", "c")

    assert lines[9].startswith("▌2026-01-01")


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (("tab",) * 6, f"since:{TODAY}T00:00:00+00:00"),
        (("p", "p", "shift+tab"), f"since:{TODAY}T13:00:00+00:00 until:{TODAY}T14:00:00+00:00"),
        (("p",), f"model:=old-model since:{MONTH.before}-01T00:00:00+00:00"),
    ],
)
async def test_a_line_leads_to_the_requests_of_its_time(keys: tuple[str, ...], wanted: str) -> None:
    stage = staged()
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(200, 36)) as pilot:
        for key in ("5", *keys):
            await pilot.press(key)
            await pilot.pause()
        table = app.tabs.costs.table
        await until(lambda: table.choice.rows(COSTS) is not None)
        await pilot.pause()
        table.redraw()
        term = table.selected_term
        app.view.set_filter(str(term))
        problem = app.view.filter.problem

    assert wanted in str(term)
    assert problem is None


async def test_a_ledger_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = staged()

    async def fail(*_: object) -> CostLines | None:
        raise LedgerUnreadableError("the disk is gone")

    monkeypatch.setattr(stage.gateway, "cost_lines", fail)
    lines = await shown(stage, "p")

    assert lines[9].startswith(" No costs: the disk is gone.")


# Copy and export


async def test_the_lines_are_exported_as_listed(tmp_path: Path) -> None:
    stage = staged()
    app = NexusApp(stage.source, now=fixed_now)
    files = tmp_path / "costs.csv", tmp_path / "costs.json"
    async with app.run_test(size=(120, 36)) as pilot:
        for key in ("5", "p", "p"):
            await pilot.press(key)
            await pilot.pause()
        choice = app.tabs.costs.table.choice
        await until(lambda: choice.rows(COSTS) is not None)
        await pilot.pause()
        for letter, path in zip("cs", files, strict=True):
            await pilot.press("e", letter)
            await pilot.pause()
            await pilot.press("ctrl+u", *str(path), "enter")
            await until(path.exists)
            await pilot.pause()

    rows = list(csv.DictReader(io.StringIO(files[0].read_text())))
    told = json.loads(files[1].read_text())
    assert [(row["model"], row["cost_usd"]) for row in rows] == [("'=today()", "1.000000000")]
    assert (told["period"], told["by"]) == (str(TODAY), "model")
    assert told["lines"][0]["model"] == "=today()"
    assert told["lines"][0]["estimated_usd"] is None


async def test_copying_puts_the_lines_on_the_clipboard() -> None:
    stage = staged()
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5", "y")
        await pilot.pause()
        copied = app.clipboard

    rows = list(csv.DictReader(io.StringIO(copied)))
    assert rows[0]["model"] == COSTS.by_model[0].name
    assert {"requests", "cost_usd", "estimated_usd", "saved_usd"} <= set(rows[0])


# Reading


async def run_for(choice: CostChoice, stage: Stage, steps: Callable[[], object]) -> None:
    reading = asyncio.ensure_future(keep_cost_lines(stage.source, choice, lambda: None))
    try:
        steps()
        await until(lambda: choice.rows(COSTS) is not None or choice.problem is not None)
    finally:
        reading.cancel()


async def test_what_the_report_has_is_not_read_again() -> None:
    stage, choice = staged(), CostChoice()

    await run_for(choice, stage, lambda: choice.choose(by=By.KEY))

    assert stage.gateway.asked_costs == []


async def test_lines_are_read_when_they_are_chosen() -> None:
    stage, choice = staged(), CostChoice()

    await run_for(choice, stage, lambda: choice.choose(by=By.HOUR, span=Span.TODAY))

    assert stage.gateway.asked_costs == [(By.HOUR, str(TODAY))]
    rows = choice.rows(COSTS) or ()
    assert [row.name for row in rows] == [f"{TODAY} 13:00", f"{TODAY} 08:00"]


async def test_without_a_ledger_that_is_the_reason() -> None:
    stage, choice = staged(), CostChoice()
    stage.gateway.costs = None

    await run_for(choice, stage, lambda: choice.choose(span=Span.LAST_MONTH))

    assert choice.problem == "this Nexus has no ledger"


async def test_what_was_read_for_an_earlier_choice_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, choice = staged(), CostChoice()
    choice.choose(by=By.DAY)

    async def late(by: By, period: Period) -> CostLines:
        choice.choose(span=Span.LAST_MONTH)
        return CostLines(by, period, (line("late"),))

    monkeypatch.setattr(stage.gateway, "cost_lines", late)
    await choice.read(stage.source)

    assert choice.rows(COSTS) is None


def test_a_line_that_costs_nothing_has_no_amount() -> None:
    choice = CostChoice()
    choice.choose(span=Span.LAST_MONTH)
    choice._found = CostLines(By.MODEL, MONTH, (line("local", 0, saved_nano_usd=5),))  # pyright: ignore[reportPrivateUsage]

    row = (choice.rows(replace(COSTS)) or ())[0]

    assert (row.actual, row.estimated, row.saved) == (None, None, Decimal("5E-9"))
