"""`nexus costs`: what it shows of a ledger, its exit codes, and that names cannot forge a line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_schema import LedgerRow
from tests.money.ledger_rows import row
from tests.tui.commands.watching import Watching
from tests.tui.process.test_cli import run

EVIL = "evil\x1b]0;title\x07\n\u202etotal"
LOCAL = {
    "backend": "llama",
    "backend_type": "ollama",
    "model": "llama3:70b",
    "cost_nano_usd": None,
    "client": None,
}
MONTH = ("--month", "2026-10")


def costs(
    directory: Path, *arguments: str, rows: tuple[LedgerRow, ...] = ()
) -> tuple[int, str, str]:
    """What the command says of a ledger with these rows."""
    (directory / "nexus.toml").write_text('[storage]\npath = "n.db"\n', encoding="utf-8")
    if rows:
        ledger = Ledger(directory / "n.db")
        ledger.open()
        for each in rows:
            ledger.append(each)
        ledger.close()
    done = run(directory, "costs", *arguments)
    return done.returncode, done.stdout, done.stderr


def test_the_table_shows_each_kind_of_money_apart(tmp_path: Path) -> None:
    rows = (
        row(),
        row(cost_nano_usd=500_000, counted="estimated", is_partial=True),
        row(**LOCAL, saved_nano_usd=7_000_000),
        row(model="new", cost_nano_usd=None, is_unpriced=True),
    )

    code, out, err = costs(tmp_path, *MONTH, rows=rows)

    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["MODEL", "REQUESTS", "FAILED", "TOKENS", "IN", "TOKENS", "OUT", "COST", "ESTIMATED",
         "UNPRICED", "SAVED"],
        ["gpt-4o-2024-11-20", "2", "-", "2,000", "200", "$0.003500", "≈$0.000500", "-", "-"],
        ["llama3:70b", "1", "-", "1,000", "100", "-", "-", "-", "≈$0.007000"],
        ["new", "1", "-", "1,000", "100", "unpriced", "-", "1", "-"],
        ["total", "2026-10", "4", "-", "4,000", "400", "$0.003500", "≈$0.000500", "1",
         "≈$0.007000"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("backend", ["openai", "llama"]),
        ("key", ["laptop", "(no key)"]),
        ("day", ["2026-10-26"]),
    ],
)
def test_lines_stand_for_what_is_asked(by: str, names: list[str], tmp_path: Path) -> None:
    code, out, _ = costs(tmp_path, "--by", by, *MONTH, rows=(row(), row(**LOCAL)))

    lines = out.splitlines()[1:-1]
    assert code == 0
    assert [line.partition("  ")[0] for line in lines] == names


def test_json_is_exact(tmp_path: Path) -> None:
    code, out, _ = costs(tmp_path, "--json", *MONTH, rows=(row(cost_nano_usd=1), row(**LOCAL)))

    body = json.loads(out)
    assert code == 0
    assert (body["month"], body["by"]) == ("2026-10", "model")
    assert body["lines"][0] == {
        "model": "gpt-4o-2024-11-20",
        "requests": 1,
        "failed": 0,
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "cost_usd": "0.000000001",
        "estimated_usd": "0.000000000",
        "unpriced": 0,
        "saved_usd": "0.000000000",
    }
    assert body["total"]["requests"] == 2


def test_csv_is_what_a_spreadsheet_reads(tmp_path: Path) -> None:
    rows = (row(model='a, "b"'), row(model="=cmd()"))

    code, out, _ = costs(tmp_path, "--csv", *MONTH, rows=rows)

    lines = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [line["model"] for line in lines] == ["'=cmd()", 'a, "b"']
    assert lines[0]["cost_usd"] == "0.003500000"


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_a_strangers_name_cannot_steer_the_terminal(form: tuple[str, ...], tmp_path: Path) -> None:
    code, out, _ = costs(tmp_path, *form, *MONTH, rows=(row(model=EVIL),))

    assert code == 0
    assert not set(out) & {"\x1b", "\x07", "\u202e"}
    assert "\ntotal" not in out.replace("\ntotal 2026-10", "")


def test_a_month_without_requests_says_so(tmp_path: Path) -> None:
    code, out, _ = costs(tmp_path, "--month", "2020-01", rows=(row(),))

    assert (code, out) == (0, "no requests in 2020-01\n")


def test_without_a_ledger_it_says_where_one_would_be(tmp_path: Path) -> None:
    code, out, err = costs(tmp_path)

    assert (code, out) == (1, "")
    place = tmp_path / "n.db"
    assert err == f"nexus: costs: {place}: there is no ledger yet; a running Nexus writes it\n"


def test_memory_has_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text('[storage]\npath = ":memory:"\n', encoding="utf-8")

    done = run(tmp_path, "costs")

    assert done.returncode == 1
    assert ":memory:" in done.stderr


def test_a_wrong_config_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text("[storage]\nretention_days = 5\n", encoding="utf-8")

    done = run(tmp_path, "costs")

    assert done.returncode == 2
    assert "storage.retention_days: 5 is not 32 or more" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--month", "2026-13"), ("--by", "colour"), ("--json", "--csv")]
)
def test_a_wrong_option_is_exit_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(tmp_path, "costs", *arguments)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_watching_shows_what_comes_to_the_ledger(tmp_path: Path) -> None:
    costs(tmp_path, *MONTH, rows=(row(),))
    watching = Watching(tmp_path, "costs", *MONTH, "--json")
    first = json.loads(watching.line())
    costs(tmp_path, *MONTH, rows=(row(),))
    while (later := json.loads(watching.line())) == first:
        pass
    code, stderr = watching.end()

    assert (first["total"]["requests"], later["total"]["requests"]) == (1, 2)
    assert (code, stderr) == (130, "")


def test_watching_without_a_ledger_ends_at_once(tmp_path: Path) -> None:
    code, out, err = costs(tmp_path, "--watch")

    assert (code, out) == (1, "")
    assert err.startswith("nexus: costs:")
