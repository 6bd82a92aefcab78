"""What the ledger says of a month, while it is written and while it is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_queries import (
    By,
    CostLine,
    NoLedgerError,
    completion_averages,
    costs,
    read_ledger,
    spent_by_client,
)
from nexus_core.money.ledger_schema import SCHEMA_VERSION, LedgerRow
from nexus_core.money.months import Month
from tests.money.ledger_rows import AT, row

MONTH = Month.of(AT)
ROOT = Path(__file__).parents[2]
LOCAL = {
    "backend": "llama",
    "backend_type": "ollama",
    "model": "llama3",
    "cost_nano_usd": None,
    "estimated_nano_usd": None,
}
ROWS = (
    row(agent="codex", session="0199"),
    row(cost_nano_usd=500_000, counted="estimated", is_partial=True, client=None,
        agent="claude-code", session="3f2a", endpoint="/v1/messages"),
    row(**LOCAL, saved_nano_usd=7_000_000, saved_model="gpt-4o"),
    row(model="new", cost_nano_usd=None, is_unpriced=True, client="phone", at=AT + 86_400),
    row(model=None, backend=None, cost_nano_usd=None, status=503, failed=True, prompt_tokens=None,
        completion_tokens=None, counted=None),
    row(at=MONTH.start - 0.001, cost_nano_usd=10**9),
    row(at=MONTH.end, cost_nano_usd=10**9),
)  # fmt: skip


def written(path: Path, *rows: LedgerRow) -> Path:
    ledger = Ledger(path)
    ledger.open()
    for each in rows:
        ledger.append(each)
    ledger.close()
    return path


def bill(path: Path, by: By) -> dict[str | None, CostLine]:
    with read_ledger(path) as ledger:
        return {line.name: line for line in costs(ledger, by, MONTH)}


def test_a_line_keeps_what_is_reported_what_is_estimated_and_what_is_unknown_apart(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "n.db", *ROWS)

    lines = bill(path, By.MODEL)

    assert lines["gpt-4o-2024-11-20"] == CostLine(
        name="gpt-4o-2024-11-20",
        requests=2,
        failed=0,
        prompt_tokens=2000,
        completion_tokens=200,
        cost_nano_usd=3_500_000,
        estimated_nano_usd=500_000,
        unpriced=0,
        saved_nano_usd=0,
    )
    assert (lines["new"].cost_nano_usd, lines["new"].unpriced) == (0, 1)
    assert (lines["llama3"].cost_nano_usd, lines["llama3"].saved_nano_usd) == (0, 7_000_000)
    assert (lines["gpt-4o"].failed, lines["gpt-4o"].prompt_tokens) == (1, 0)  # nobody served it


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.MODEL, ["gpt-4o-2024-11-20", "gpt-4o", "llama3", "new"]),
        (By.BACKEND, ["openai", None, "llama"]),
        (By.KEY, ["laptop", None, "phone"]),
        (By.AGENT, ["codex", "claude-code", None]),
        (By.SESSION, ["0199", "3f2a", None]),
        (By.API, ["chat", "messages"]),
        (By.DAY, ["2026-10-26", "2026-10-27"]),
    ],
)
def test_the_dearest_come_first_and_days_in_order(
    by: By, expected: list[str | None], tmp_path: Path
) -> None:
    path = written(tmp_path / "n.db", *ROWS)

    lines = bill(path, by)

    assert list(lines) == expected
    assert sum(line.requests for line in lines.values()) == 5
    assert sum(line.cost_nano_usd + line.estimated_nano_usd for line in lines.values()) == 4_000_000


def test_a_month_is_summed_by_client(tmp_path: Path) -> None:
    path = written(tmp_path / "n.db", *ROWS)

    with read_ledger(path) as ledger:
        assert spent_by_client(ledger, MONTH) == {"laptop": 3_500_000, None: 500_000}
        assert spent_by_client(ledger, Month(2020, 1)) == {}


def test_averages_are_of_the_last_whole_answers(tmp_path: Path) -> None:
    rows = [row(at=AT + n, completion_tokens=1000 if n < 50 else 100 + n) for n in range(100)]
    broken = row(at=AT + 200, completion_tokens=9, is_partial=True)
    refused = row(at=AT + 201, completion_tokens=None)
    path = written(tmp_path / "n.db", *rows, broken, refused, row(**LOCAL, completion_tokens=7))

    with read_ledger(path) as ledger:
        averages = completion_averages(ledger)

    assert averages == {"gpt-4o-2024-11-20": 174.5, "llama3": 7.0}


def test_the_ledger_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = written(tmp_path / "n.db", row())
    ledger = Ledger(path)
    ledger.open()

    with read_ledger(path) as reading:
        before = spent_by_client(reading, MONTH)
    ledger.append(row())
    ledger.close()

    assert before == {"laptop": 3_500_000}
    with read_ledger(path) as reading:
        assert spent_by_client(reading, MONTH) == {"laptop": 7_000_000}


def test_reading_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "n.db", row())

    with read_ledger(path) as ledger, pytest.raises(sqlite3.OperationalError, match="readonly"):
        ledger.execute("DELETE FROM requests")


def test_a_ledger_of_the_first_version_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ROOT / "tests/data/ledger_v1.sql").read_text())

    lines = bill(path, By.MODEL)

    assert lines["gpt-4o-2024-11-20"].cost_nano_usd == 3_500_000
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def no_file(path: Path) -> None:
    pass


def no_ledger(path: Path) -> None:
    path.write_text("dear diary, " * 100)


def of_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (no_file, "there is no ledger yet"),
        (no_ledger, "file is not a database"),
        (of_the_future, "schema version"),
        (folder, "can't be read"),
    ],
)
def test_what_cannot_be_read_is_said(make: object, why: str, tmp_path: Path) -> None:
    path = tmp_path / "n.db"
    assert callable(make)
    make(path)

    with pytest.raises(NoLedgerError, match=why), read_ledger(path):
        pass
