"""`nexus costs`: what it shows of a ledger, its exit codes, and that names cannot forge a line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_schema import LedgerRow
from nexus_core.money.months import Day
from tests.money.ledger_rows import row
from tests.tui.commands.serving import fake_nexus
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
NO_NEXUS = ("--port", "9")  # nothing listens there


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
    done = run(directory, *NO_NEXUS, "costs", *arguments)
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
        ("hour", ["2026-10-26 07:00"]),
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
    assert err.startswith(
        f"nexus: costs: {place}: there is no ledger yet; a running Nexus writes it; "
    )
    assert err.endswith("--url asks a running Nexus elsewhere\n")


def test_memory_has_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text('[storage]\npath = ":memory:"\n', encoding="utf-8")

    done = run(tmp_path, *NO_NEXUS, "costs")

    assert done.returncode == 1
    assert ":memory:" in done.stderr


def test_a_wrong_config_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text("[storage]\nretention_days = 5\n", encoding="utf-8")

    done = run(tmp_path, "costs")

    assert done.returncode == 2
    assert "storage.retention_days: 5 is not 32 or more" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--month", "2026-13"),
        ("--day", "2026-02-30"),
        ("--month", "2026-10", "--day", "2026-10-26"),
        ("--by", "colour"),
        ("--json", "--csv"),
        ("--url", "nowhere"),
    ],
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


def test_a_day_has_lines_of_its_own(tmp_path: Path) -> None:
    rows = (row(), row(at=Day.parse("2026-10-27").start, model="later"))

    code, out, _ = costs(tmp_path, "--day", "2026-10-26", "--json", rows=rows)
    other, text, _ = costs(tmp_path, "--day", "2026-10-27")

    body = json.loads(out)
    assert (code, other) == (0, 0)
    assert (body["day"], [line["model"] for line in body["lines"]]) == (
        "2026-10-26",
        ["gpt-4o-2024-11-20"],
    )
    assert "month" not in body
    assert [line.split()[0] for line in text.splitlines()] == ["MODEL", "later", "total"]


@pytest.mark.parametrize("word", [("--month", "last"), ("--day", "today"), ("--day", "yesterday")])
def test_a_period_can_be_said_in_a_word(word: tuple[str, str], tmp_path: Path) -> None:
    code, out, _ = costs(tmp_path, *word, rows=(row(at=1.0),))

    assert code == 0
    assert out.startswith("no requests in 20")


# Of a running Nexus


TOLD = {
    "month": "2026-10",
    "by": "key",
    "lines": [
        {
            "key": None,
            "requests": 2,
            "failed": 0,
            "prompt_tokens": 2000,
            "completion_tokens": 200,
            "cost_usd": "0.003500001",
            "estimated_usd": "0.000000000",
            "unpriced": 0,
            "saved_usd": "0.000000000",
        }
    ],
    "total": {},
}


def test_a_running_nexus_is_asked_with_url(tmp_path: Path) -> None:
    with fake_nexus(costs=TOLD) as (url, asked):
        table = run(tmp_path, "costs", *MONTH, "--by", "key", "--url", url.partition("//")[2])
        whole = run(tmp_path, "costs", "--json", *MONTH, "--by", "key", "--url", url)
        day = run(tmp_path, "costs", "--csv", "--day", "2026-10-26", "--url", url)

    assert (table.returncode, table.stderr) == (0, "")
    assert [line.split()[:3] for line in table.stdout.splitlines()[1:]] == [
        ["(no", "key)", "2"],
        ["total", "2026-10", "2"],
    ]
    body = json.loads(whole.stdout)
    assert {**body, "total": {}} == {**TOLD, "scope": "node"}  # as an older Nexus means it
    assert body["total"]["cost_usd"] == "0.003500001"
    assert day.stdout.startswith("key,requests,")
    assert [path for path, _ in asked if "costs" in path] == [
        *["/nexus/costs?by=key&month=2026-10"] * 2,
        "/nexus/costs?by=model&day=2026-10-26",
    ]


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        ({"costs": None}, 1, "keeps no ledger"),
        ({"costs": None, "is_reading": True}, 1, "is still reading its ledger"),
        ({"costs": {"today": "1"}}, 2, "is too old to tell costs by model"),
        ({"by": "model", "month": "2026-10", "lines": [{}]}, 2, "incompatible Nexus version"),
        ({"by": "colour", "month": "2026-10", "lines": []}, 2, "incompatible Nexus version"),
        ([], 2, "incompatible Nexus version"),
    ],
)
def test_an_answer_without_costs_is_told(
    tmp_path: Path, answer: object, code: int, told: str
) -> None:
    with fake_nexus(costs=answer) as (url, _):
        done = run(tmp_path, "costs", "--url", url)

    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_beside_a_running_nexus_it_is_asked_where_there_is_no_ledger_here(tmp_path: Path) -> None:
    with fake_nexus(costs=TOLD) as (url, _):
        port = url.rpartition(":")[2]
        code, out, err = costs(tmp_path, "--port", port, *MONTH)
        own = costs(tmp_path, "--port", port, *MONTH, rows=(row(),))
        other = costs(tmp_path, "--port", port, "--month", "2020-01")

    assert code == 0
    assert "total 2026-10" in out
    assert "there is no ledger yet" in err
    assert f"asking the Nexus at {url}" in err
    assert own[2] == ""
    assert "gpt-4o" in own[1]
    assert other[1] == "no requests in 2020-01\n"
    assert other[2].endswith(f"a Nexus runs at {url}: --url {url} asks it\n")


def test_without_a_nexus_at_url_it_is_exit_2(tmp_path: Path) -> None:
    done = run(tmp_path, "costs", "--url", "127.0.0.1:9")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nexus: costs: no Nexus is running at http://127.0.0.1:9\n"
