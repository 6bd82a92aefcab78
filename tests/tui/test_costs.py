from __future__ import annotations

from decimal import Decimal

import pytest

from nexus_tui.app import NexusApp
from tests.tui.fleet import NOW, fixed_now
from tests.tui.screen import screen_text
from tests.tui.staged import FixedCosts, make_stage


async def shown(costs: FixedCosts | None, *keys: str, width: int = 120) -> str:
    stage = make_stage(plays=False)
    stage.source.costs = costs
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(width, 36)) as pilot:
        for key in ("5", *keys):
            await pilot.press(key)
            await pilot.pause()
        text = screen_text(app)
    assert app.crash is None
    return text


async def test_without_a_ledger_one_line_says_so() -> None:
    text = await shown(None)

    assert "No costs are kept: this Nexus has no ledger." in text
    assert "$" not in text


async def test_money_is_shown_with_limit_pace_and_forecast() -> None:
    text = await shown(FixedCosts())

    assert "today $1.8342 of $5.00" in text
    assert "37 %" in text
    assert "month $31.20 of $100 → $96" in text
    assert "pace $0.29/h → not spent at this pace" in text
    assert "saved ≈ $4.10" in text
    assert "at the limit: cloud is cut, local goes on" in text


async def test_an_unknown_price_never_reads_as_free() -> None:
    row = next(line for line in (await shown(FixedCosts())).splitlines() if "gpt-next" in line)

    assert row.count("unpriced") == 2
    assert "$0" not in row
    assert "add it to [pricing]" in row


async def test_a_local_row_costs_nothing_and_says_what_it_saved() -> None:
    row = next(line for line in (await shown(FixedCosts())).splitlines() if "llama3:70b" in line)

    assert "unpriced" not in row
    assert "saved ≈ $4.10" in row


@pytest.mark.parametrize(("keys", "name"), [(("tab",), "openai"), (("shift+tab",), "ci")])
async def test_tab_turns_the_grouping(keys: tuple[str, ...], name: str) -> None:
    rows = (await shown(FixedCosts(), *keys)).splitlines()[8:]

    assert rows[0].startswith(f" {name} ")
    assert not any("gpt-4o" in row for row in rows)


async def test_rows_are_sorted_by_the_next_column() -> None:
    by_requests = (await shown(FixedCosts(), "s")).splitlines()[8:]

    assert by_requests[0].startswith(" llama3:70b")
    assert by_requests[1].startswith(" gpt-4o")


async def test_a_limit_that_will_be_reached_says_when() -> None:
    costs = FixedCosts()
    costs.spent_at = NOW + 3600

    assert "→ spent 15:02:31" in await shown(costs)


async def test_without_limits_there_is_no_bar() -> None:
    costs = FixedCosts()
    costs.daily_limit = costs.monthly_limit = costs.month_forecast = costs.saved = None

    text = await shown(costs)

    assert "today $1.8342 " in text
    assert "of $" not in text
    assert "at the limit" not in text
    assert "saved ≈ $4.10 " not in text.splitlines()[4]


@pytest.mark.parametrize(("width", "spend"), [(120, "$1.8342 today of $5.00"), (80, "$1.83/$5.00")])
async def test_the_status_line_has_today_s_spend(width: int, spend: str) -> None:
    assert spend in (await shown(FixedCosts(), width=width)).splitlines()[0]


async def test_a_cent_more_is_seen_in_the_series() -> None:
    costs = FixedCosts()
    costs.per_minute = (*[Decimal(0)] * 59, Decimal("0.011"))

    text = await shown(costs, "1")

    assert "$/min" in text
    assert "$0.011" in text
