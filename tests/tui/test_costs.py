from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from nexus_core.errors import LedgerUnreadableError
from nexus_core.money.report import CostReport
from nexus_tui.app import NexusApp
from nexus_tui.sources.local import LocalSource
from nexus_tui.text.numbers import dollars
from nexus_tui.view.costs.poller import keep_costs
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import fixed_now, make_source
from tests.tui.screen import screen_text
from tests.tui.staged import COSTS, make_stage

_FIRST_ROW = 9


async def shown(costs: CostReport | None, *keys: str, width: int = 120) -> str:
    stage = make_stage(plays=False)
    stage.source.costs = stage.gateway.costs = costs
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

    assert "No costs: this Nexus has no ledger." in text
    assert "$" not in text


async def test_money_is_shown_with_limit_pace_and_forecast() -> None:
    text = await shown(COSTS)

    assert "today $1.8342" in text
    assert "+ 12 unpriced" in text
    assert "≈ $0.0219 of it estimated" in text
    assert "month $31.20 of $100.00" in text
    assert "31 %" in text
    assert "pace $0.29/h → $96.00 by month's end" in text
    assert "within the limit" in text
    assert "saved ≈ $4.10" in text
    assert "at the limit: cloud blocked, local continues" in text


async def test_an_unknown_price_never_reads_as_free() -> None:
    row = next(line for line in (await shown(COSTS)).splitlines() if "gpt-next" in line)

    assert row.count("unpriced") == 2
    assert "$0" not in row
    assert "add it to [pricing]" in row


async def test_a_sum_that_lacks_unpriced_requests_says_how_many() -> None:
    rows = (await shown(COSTS, "tab")).splitlines()

    row = next(line for line in rows if line.startswith("▌openai "))
    assert "$1.6120" in row
    assert "+ 12 unpriced" in row


async def test_a_local_row_costs_nothing_and_says_what_it_saved() -> None:
    row = next(line for line in (await shown(COSTS)).splitlines() if "llama3:70b" in line)

    assert "unpriced" not in row
    assert "saved ≈ $4.10" in row


@pytest.mark.parametrize(("keys", "name"), [(("tab",), "openai"), (("tab", "tab"), "ci")])
async def test_tab_turns_the_grouping(keys: tuple[str, ...], name: str) -> None:
    rows = (await shown(COSTS, *keys)).splitlines()[_FIRST_ROW:]

    assert rows[0].startswith(f"▌{name} ")
    assert not any("gpt-4o" in row for row in rows)


async def test_requests_without_a_key_have_a_row_that_says_so() -> None:
    nobody = replace(COSTS.by_key[0], name=None)

    rows = (await shown(replace(COSTS, by_key=(nobody,)), "tab", "tab")).splitlines()

    assert rows[_FIRST_ROW].startswith("▌no key ")


async def test_rows_are_sorted_by_choice() -> None:
    lines = (await shown(COSTS, "s", "r")).splitlines()
    by_requests = lines[_FIRST_ROW:]
    turned = (await shown(COSTS, "s", "r", "S")).splitlines()[_FIRST_ROW:]
    usual = (await shown(COSTS, "s", "r", "escape")).splitlines()

    assert by_requests[0].startswith("▌llama3:70b")
    assert by_requests[1].startswith(" gpt-4o")
    assert "sorted by requests ▼" in lines[2]
    assert "requests▼" in lines[_FIRST_ROW - 1]
    assert turned[0].startswith("▌gpt-next")
    assert "sorted by cost ▼" in usual[2]


async def test_the_cursor_stays_on_its_row_when_costs_are_sorted() -> None:
    lines = (await shown(COSTS, "j", "j", "s", "n")).splitlines()[_FIRST_ROW:]

    assert [line[:12].rstrip() for line in lines[:3]] == [" gpt-4o", " gpt-next", "▌llama3:70b"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"spent_at": NOW + 3600}, "limit reached 15:02"),
        ({"spent_at": NOW + 3 * 86_400}, "limit reached 01-12 14:02"),
        ({"spent_at": NOW, "month": Decimal(101)}, "limit reached"),
        ({"monthly_limit": Decimal(0)}, "of $0.00"),
        ({"reserved": Decimal("0.02")}, "+ $0.0200 in flight"),
        ({"problem": "is in use by another Nexus"}, "the ledger is in use by another Nexus"),
        ({"month_forecast": Decimal("0.00001")}, "→ <$0.01 by month's end"),
    ],
)
async def test_what_people_should_know_is_said(changes: dict[str, object], says: str) -> None:
    costs = replace(COSTS, **changes)  # type: ignore[arg-type]  # each of its field's type

    assert says in await shown(costs, width=160)


async def test_without_limits_there_is_no_bar() -> None:
    text = await shown(replace(COSTS, monthly_limit=None, saved=None))

    assert "month $31.20 " in text
    assert "of $" not in text
    assert "at the limit" not in text
    assert "saved ≈ $4.10 by" not in text


@pytest.mark.parametrize(
    ("width", "spend"), [(140, "≥ $1.8342 today   $31.20/$100 month"), (80, "≥ $1.83 today")]
)
async def test_the_status_line_has_today_s_spend(width: int, spend: str) -> None:
    assert spend in (await shown(COSTS, width=width)).splitlines()[0]


async def test_what_is_estimated_never_looks_like_a_cost() -> None:
    some = Decimal("0.01")
    costs = replace(
        COSTS, today_unpriced=0, month_estimated=some, minute_estimated=some, per_minute=(some,)
    )

    lines = (await shown(costs, width=140)).splitlines()
    figures = await shown(costs, "1", width=140)

    assert "≈$1.8342 today   ≈$31.20/$100 month" in lines[0]
    assert "month ≈$31.20 of $100.00" in "".join(lines)
    assert "≈$0.010" in figures


async def test_a_cent_more_is_seen_in_the_series() -> None:
    costs = replace(COSTS, per_minute=(*[Decimal(0)] * 59, Decimal("0.011")))

    text = await shown(costs, "1")

    assert "$/min" in text
    assert "$0.011" in text


@pytest.mark.parametrize(
    ("usd", "text"),
    [("0", "$0.0000"), ("0.00001", "<$0.0001"), ("1.23456", "$1.2346"), ("12345", "$12,345.00")],
)
def test_what_is_small_never_reads_as_nothing(usd: str, text: str) -> None:
    assert dollars(Decimal(usd)) == text


class Enough(Exception):
    """So many rounds were watched."""


class Watched(LocalSource):
    """Counts how often costs are asked for."""

    reads = 0
    unknown = 0  # so many times it is not known yet

    async def refresh_costs(self) -> None:
        self.reads += 1
        if self.reads > self.unknown:
            await super().refresh_costs()


def watched() -> Watched:
    _, gateway = make_source(plays=False)
    gateway.costs = COSTS
    return Watched(gateway)


async def rounds(source: Watched, *finished: int, seconds: float = 0.0) -> list[float]:
    """Go on for as many rounds as numbers of ended requests; gives the pauses between them.

    `seconds` is what each step of the clock takes.
    """
    pauses: list[float] = []
    now = [0.0]
    ahead = iter(finished)

    def clock() -> float:
        now[0] += seconds
        return now[0]

    async def sleep(pause: float) -> None:
        pauses.append(pause)
        now[0] += pause
        source.stats.finished = next(ahead, -1)
        if source.stats.finished < 0:
            raise Enough

    source.stats.finished = next(ahead)
    with pytest.raises(Enough):
        await keep_costs(source, sleep=sleep, clock=clock)
    return pauses


async def test_costs_are_read_every_five_seconds_while_requests_end() -> None:
    source = watched()

    pauses = await rounds(source, 1, 2, 3, 4)

    assert source.reads == 4
    assert pauses == [5.0] * 4
    assert source.costs is COSTS


async def test_costs_are_read_once_more_after_the_last_request_and_then_each_minute() -> None:
    source = watched()

    await rounds(source, *[7] * 26)

    assert source.reads == 2 + 2


async def test_costs_that_are_not_known_yet_are_asked_for_soon() -> None:
    source = watched()
    source.unknown = 2

    pauses = await rounds(source, *[7] * 4)

    assert source.reads == 3
    assert pauses == [1.0, 1.0, 5.0, 5.0]


async def test_what_is_not_known_yet_is_never_0() -> None:
    stage = make_stage(plays=False)
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(140, 36)) as pilot:
        stage.source.costs = stage.source.costs_problem = None  # as it is while a ledger is read
        await pilot.press("5")
        await pilot.pause()
        text = screen_text(app)

    assert "$… today" in text.splitlines()[0]
    assert "Loading: the ledger is being read …" in text
    assert "$0" not in text


async def test_a_large_ledger_is_read_less_often() -> None:
    source = watched()

    pauses = await rounds(source, 1, 2, seconds=2.0)

    assert pauses == [40.0] * 2


async def test_a_ledger_that_cannot_be_read_leaves_the_last_numbers_and_says_why() -> None:
    _, gateway = make_source(plays=False)
    gateway.costs = COSTS
    source = LocalSource(gateway)
    await source.refresh_costs()

    async def fail() -> CostReport | None:
        raise LedgerUnreadableError("nexus.db: the ledger can't be read: disk I/O error")

    gateway.cost_report = fail  # type: ignore[method-assign]
    await source.refresh_costs()
    app = NexusApp(source, now=fixed_now)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        text = screen_text(app)

    assert "as of 14:02:31: nexus.db: the ledger can't be read: disk I/O error" in text
    assert "month $31.20" in text
