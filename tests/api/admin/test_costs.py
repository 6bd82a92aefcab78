"""GET /nexus/costs: the lines of a month or day; the report itself is told in test_report."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.money.cost_lines import read_lines
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Day, Month
from tests.api.in_process import client
from tests.money.test_report import AT, cost, gateway, written


async def told(path: Path, query: str) -> tuple[int, dict[str, object]]:
    nexus = gateway(path)
    async with client(nexus) as http:
        await nexus.cost_tracker.open()
        answer = await http.get(f"/nexus/costs?{query}")
        await nexus.cost_tracker.close()
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("query", "by", "period", "requests"),
    [
        ("by=day", By.DAY, Month.of(AT), 2),
        (f"month={Month.of(AT)}", By.MODEL, Month.of(AT), 2),
        (f"by=hour&day={Day.of(AT)}", By.HOUR, Day.of(AT), 1),
        (f"by=hour&day={Day.of(AT)}&month=2020-01", By.HOUR, Day.of(AT), 1),
        (f"by=key&month={Month.of(AT).before}", By.KEY, Month.of(AT).before, 0),
    ],
)
async def test_the_lines_of_a_period_are_told(
    tmp_path: Path, query: str, by: By, period: Month | Day, requests: int
) -> None:
    path = written(tmp_path / "n.db", cost(1), cost(2, 86_400 * 3))

    status, answer = await told(path, query)

    lines = read_lines(answer)
    assert status == 200
    assert (lines.by, lines.period, lines.total.requests) == (by, period, requests)


@pytest.mark.parametrize(
    ("query", "param", "says"),
    [
        ("month=2026-13", "month", "month: not a month such as 2026-11"),
        ("month=&day=2026-11-30", "month", "month: not a month such as 2026-11"),
        ("day=today", "day", "day: not a day such as 2026-11-30"),
        ("by=colour", "query.by", "by"),
    ],
)
async def test_a_period_that_is_none_is_told(
    tmp_path: Path, query: str, param: str, says: str
) -> None:
    status, answer = await told(tmp_path / "n.db", query)

    error = answer["error"]
    assert isinstance(error, dict)
    assert (status, error["param"]) == (400, param)
    assert says in error["message"]


async def test_without_a_ledger_there_are_no_lines() -> None:
    async with client(gateway(":memory:")) as http:
        assert (await http.get("/nexus/costs?by=day")).json() == {"costs": None}
