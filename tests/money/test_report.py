"""What the costs' tab shows, made from rows of a ledger."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from nexus_core.config.schema import BudgetConfig, Config, StorageConfig
from nexus_core.errors import LedgerUnreadableError
from nexus_core.gateway import Gateway
from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_queries import read_ledger
from nexus_core.money.ledger_schema import LedgerRow
from nexus_core.money.months import Month
from nexus_core.money.report import CostReport, LiveBudget, read_cost_report
from nexus_core.observe.event_json import UnreadableError, as_json, read_json
from tests.api.in_process import client
from tests.money.ledger_rows import row

DOLLAR = 10**9
MIDNIGHT = 1_793_059_200.0  # 2026-10-27 00:00 UTC
AT = MIDNIGHT + 10 * 3600 + 30 * 60 + 30  # 10:30:30
LOCAL = {
    "backend": "llama",
    "backend_type": "ollama",
    "model": "llama3",
    "cost_nano_usd": None,
    "price_source": None,
}
MONTH = Month.of(AT)


def cost(dollars: int, ago: float = 0.0, **changes: object) -> LedgerRow:
    return row(cost_nano_usd=dollars * DOLLAR, at=AT - ago, **changes)


def usd(*amounts: Decimal | None) -> list[float | None]:
    return [None if amount is None else float(amount) for amount in amounts]


def written(path: Path, *rows: LedgerRow) -> Path:
    ledger = Ledger(path)
    ledger.open()
    for each in rows:
        ledger.append(each)
    ledger.close()
    return path


def report(
    path: Path, *rows: LedgerRow, spent: int = 0, reserved: int = 0, limit: int | None = None
) -> CostReport:
    live = LiveBudget(
        spent=spent * DOLLAR,
        reserved=reserved * DOLLAR,
        limit=None if limit is None else limit * DOLLAR,
    )
    with read_ledger(written(path / "n.db", *rows)) as connection:
        return read_cost_report(connection, live, AT)


def test_today_begins_at_midnight_and_keeps_what_is_estimated_apart(tmp_path: Path) -> None:
    told = report(
        tmp_path,
        cost(1),
        cost(2, 3600, counted="estimated"),
        cost(4, AT - MIDNIGHT + 1),  # yesterday
        row(cost_nano_usd=None, is_unpriced=True, at=AT),
        row(**LOCAL, saved_nano_usd=DOLLAR, at=AT),
    )

    assert usd(told.today, told.today_estimated) == [3, 2]
    assert usd(told.month_estimated, told.minute_estimated) == [2, 0]
    assert told.today_unpriced == 1
    assert told.saved == 1


def test_the_month_is_what_the_budget_says_not_what_has_reached_the_file(tmp_path: Path) -> None:
    told = report(tmp_path, cost(1), spent=31, reserved=2, limit=100)

    assert usd(told.month, told.reserved, told.monthly_limit) == [31, 2, 100]


def test_hours_and_minutes_end_with_those_under_way(tmp_path: Path) -> None:
    told = report(tmp_path, cost(1), cost(2, 60), cost(4, 3600), cost(8, AT - MIDNIGHT))

    assert usd(*told.burn) == [8, *[0] * 8, 4, 3]
    assert usd(*told.per_minute) == [*[0] * 58, 2, 1]


@pytest.mark.parametrize(
    ("first", "pace"),
    [
        (60.0, "24"),  # a young ledger's pace is that of its first hour
        (4 * 3600.0, "6"),
        (30 * 3600.0, "1"),
        (40 * 86_400.0, "1"),
    ],
)
def test_the_pace_is_that_of_the_last_day_or_of_what_there_is_of_it(
    first: float, pace: str, tmp_path: Path
) -> None:
    oldest = row(**LOCAL, at=AT - first)

    assert report(tmp_path, oldest, cost(24)).pace_per_hour == Decimal(pace)


def test_the_forecast_goes_on_at_the_present_pace(tmp_path: Path) -> None:
    told = report(tmp_path, row(**LOCAL, at=AT - 86_400 * 2), cost(24), spent=30, limit=100)

    hours = Decimal(str((MONTH.end - AT) / 3600))
    assert round(told.month_forecast, 6) == round(30 + hours, 6)
    assert told.spent_at == AT + 70 * 3600


@pytest.mark.parametrize(
    ("spent", "limit", "reached_in"),
    [(30, None, None), (30, 1000, None), (100, 100, 0.0), (120, 100, 0.0), (76, 100, 86_400.0)],
)
def test_when_the_limit_is_reached_is_told_only_within_the_month(
    spent: int, limit: int | None, reached_in: float | None, tmp_path: Path
) -> None:
    old = row(**LOCAL, at=AT - 86_400 * 2)

    told = report(tmp_path, old, cost(24), spent=spent, limit=limit)

    assert told.spent_at == (None if reached_in is None else AT + reached_in)


def test_without_spending_no_limit_is_ever_reached(tmp_path: Path) -> None:
    told = report(tmp_path, spent=1, limit=2)

    assert told.spent_at is None
    assert usd(told.month_forecast, told.today) == [1, 0]
    assert told.by_model == ()


def test_rows_keep_actual_estimated_and_unpriced_apart(tmp_path: Path) -> None:
    told = report(
        tmp_path,
        cost(1),
        cost(2, counted="estimated", backend="azure", client="phone"),
        row(model="next", cost_nano_usd=None, price_source=None, is_unpriced=True, at=AT),
        row(**LOCAL, saved_nano_usd=DOLLAR, at=AT),
        row(**LOCAL, at=MONTH.start - 1),
    )

    rows = {(one.name, one.where): one for one in told.rows("model")}
    assert [one.name for one in told.rows("model")][:2] == ["gpt-4o-2024-11-20"] * 2
    openai = rows["gpt-4o-2024-11-20", "openai"]
    assert usd(openai.actual, openai.estimated) == [1, None]
    assert openai.price_from == "config"
    azure = rows["gpt-4o-2024-11-20", "azure"]
    assert usd(azure.actual, azure.estimated) == [None, 2]
    unpriced = rows["next", "openai"]
    assert usd(unpriced.actual, unpriced.estimated) == [None, None]
    assert unpriced.unpriced == 1
    local = rows["llama3", "llama"]
    assert usd(local.actual, local.saved) == [None, 1]


def test_rows_of_backends_and_keys_are_sums(tmp_path: Path) -> None:
    told = report(
        tmp_path,
        cost(1),
        cost(2, model="other"),
        cost(4, client=None, backend="azure", price_source="list"),
        row(model="next", cost_nano_usd=None, is_unpriced=True, price_source=None, at=AT),
    )

    backends = {one.name: one for one in told.rows("backend")}
    assert usd(backends["openai"].actual) == [3]
    assert (backends["openai"].requests, backends["openai"].unpriced) == (3, 1)
    assert backends["azure"].price_from == "list"
    keys = told.rows("key")
    assert [one.name for one in keys] == [None, "laptop"]
    assert usd(*(one.actual for one in keys)) == [4, 3]


def test_models_that_strangers_name_fill_no_more_than_the_room_there_is(tmp_path: Path) -> None:
    refused = [row(**{**LOCAL, "model": f"m{n}"}, at=AT) for n in range(300)]

    told = report(tmp_path, *refused, cost(1))

    assert len(told.by_model) == 200
    assert told.by_model[0].actual == 1


def test_a_report_comes_back_from_json_to_the_last_digit(tmp_path: Path) -> None:
    told = report(tmp_path, row(cost_nano_usd=1, at=AT), spent=7, limit=100)

    again = read_json(CostReport, json.loads(json.dumps(as_json(told))))

    assert again == told
    assert again.today == Decimal("0.000000001")


@pytest.mark.parametrize(
    "amount", ["1E+1000000", "NaN", "Infinity", "1e-30", "-1", "much", True, None]
)
def test_amounts_that_make_no_sense_are_refused(amount: object, tmp_path: Path) -> None:
    told = {**as_json(report(tmp_path)), "today": amount}

    with pytest.raises(UnreadableError):
        read_json(CostReport, told)


@pytest.mark.parametrize("name", ["burn", "per_minute", "by_model"])
def test_a_report_without_end_is_refused(name: str, tmp_path: Path) -> None:
    told = as_json(report(tmp_path, cost(1)))

    with pytest.raises(UnreadableError):
        read_json(CostReport, {**told, name: [told[name][0]] * 201})


def gateway(path: Path | str, limit: float | None = None) -> Gateway:
    config = Config(
        storage=StorageConfig(path=str(path)), budget=BudgetConfig(monthly_limit_usd=limit)
    )
    return Gateway(config, now=lambda: AT)


async def test_costs_are_told_over_http(tmp_path: Path) -> None:
    path = written(tmp_path / "n.db", cost(1), cost(2, 86_400 * 3))
    nexus = gateway(path, limit=100)
    async with client(nexus) as http:
        await nexus.cost_tracker.open()
        told = (await http.get("/nexus/costs")).json()["costs"]
        await nexus.cost_tracker.close()

    report = read_json(CostReport, told)
    assert usd(report.today, report.month, report.monthly_limit) == [1, 3, 100]
    assert report.problem is None


async def test_without_a_ledger_there_is_no_report() -> None:
    nexus = gateway(":memory:")
    async with client(nexus) as http:
        assert (await http.get("/nexus/costs")).json() == {"costs": None}


async def test_a_ledger_that_cannot_be_read_is_no_report_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "n.db").write_bytes(b"no database" * 100)
    nexus = gateway(tmp_path / "n.db")
    async with client(nexus) as http:
        answer = await http.get("/nexus/costs")

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "ledger_unreadable"
    with pytest.raises(LedgerUnreadableError):
        await nexus.cost_tracker.cost_report()


async def test_a_new_month_begins_at_zero_though_nothing_was_asked(tmp_path: Path) -> None:
    moments = [MONTH.end - 1]
    path = written(tmp_path / "n.db", cost(5))
    nexus = Gateway(Config(storage=StorageConfig(path=str(path))), now=lambda: moments[0])
    nexus.cost_tracker.budget.recall({None: 5 * DOLLAR}, MONTH)

    before = await nexus.cost_tracker.cost_report()
    moments[0] = MONTH.end + 1
    after = await nexus.cost_tracker.cost_report()

    assert before is not None
    assert after is not None
    assert usd(before.month, after.month) == [5, 0]
