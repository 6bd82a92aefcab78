"""`nexus status | backends | requests | logs`: the real command; a Nexus answers as told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.commands.backends import cooldowns
from tests.contract.nexus_process import clean_environment
from tests.forked import SECONDS
from tests.tui.commands.serving import COSTS, LOGS, REQUESTS, STATE, fake_nexus
from tests.tui.commands.test_explain_command import running, stranger
from tests.tui.commands.watching import Watching
from tests.tui.process.test_cli import BACKEND, OFFLINE, run

TWINS = ("status", "backends", "requests", "logs")


def test_status_shows_the_numbers(tmp_path: Path) -> None:
    with fake_nexus() as (url, _):
        done = run(tmp_path, "status", "--url", url)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f" nexus       9.9 at {url}, up 2 h 14 m",
        " zones       restricted on, open OFF",
        " backends    1 of 2 usable",
        " in flight   3, 5 queued",
        " window      last 5 min",
        " requests    24, 12 failovers",
        " errors      2 (10 %), of them 2 refused by the cut, 0 refused for privacy",
        " others      6 client errors, 4 left, 1 turned away",
        " answers     78 % local, 22 by a cloud",
        " first byte  p50 412 ms, p99 –",  # noqa: RUF001
        " total       p50 2.9 s",
        " tokens      ≈812,008 in, ≈190,000 out",
        " cost        $1.8342 today, $31.2000 of $100.00 this month",
        " left out    KEY is not set",
    ]


@pytest.mark.parametrize(
    ("window", "title", "requests", "errors"),
    [
        ("1m", "last 1 min", "7", "0, of them"),
        ("1h", "last 1 h", "1,000", "2 (0.0 %), of them"),
        ("start", "since start", "18,204", "2 (0.0 %), of them"),
    ],
)
def test_status_has_the_windows_of_the_dashboard(
    tmp_path: Path, window: str, title: str, requests: str, errors: str
) -> None:
    with fake_nexus() as (url, _):
        done = run(tmp_path, "status", "--url", url, "--window", window)

    shown = {line[1:12].strip(): line[13:] for line in done.stdout.splitlines()}
    assert (done.returncode, shown["window"]) == (0, title)
    assert shown["requests"] == f"{requests}, 12 failovers"
    assert shown["errors"].startswith(errors)


def test_a_window_that_there_is_not_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "status", "--window", "2m")

    assert done.returncode == 2
    assert "'1m', '5m', '1h', 'start'" in done.stderr


@pytest.mark.parametrize(
    ("costs", "line"),
    [
        (
            {"costs": None, "is_reading": True},
            " cost        loading: the ledger is being read",
        ),
        ({"costs": None}, None),
        (None, None),  # one that is too old to know
        (
            {"costs": {**COSTS, "today_unpriced": 3, "monthly_limit": None}},
            " cost        $1.8342 today, plus 3 unpriced requests, $31.2000 this month",
        ),
        (
            {"costs": {**COSTS, "today_estimated": "0.02", "month_estimated": "1"}},
            " cost        ≈$1.8342 today, ≈$31.2000 of $100.00 this month",
        ),
    ],
)
def test_status_tells_the_cost_as_far_as_it_is_known(
    tmp_path: Path, costs: Any, line: str | None
) -> None:
    with fake_nexus(costs=costs) as (url, _):
        done = run(tmp_path, "status", "--url", url)

    shown = [one for one in done.stdout.splitlines() if one.startswith(" cost")]
    assert done.returncode == 0
    assert shown == ([] if line is None else [line])


def test_backends_are_a_table(tmp_path: Path) -> None:
    with fake_nexus() as (url, _):
        done = run(tmp_path, "backends", "--url", url)

    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        " state     name   type    zone        tier  prio  load  models  probe  detail",
        " healthy   local  ollama  restricted  3     80    3/4   2       12 ms",
        r" auth      cloud  openai  open        –     10    0/–   ?       –      401: check"  # noqa: RUF001
        r" OPENAI_API_KEY \x1b[2J",
        " left out  left   openai  open        –     –     –     –       –      KEY is not set",  # noqa: RUF001
    ]


def test_requests_are_a_table_newest_first(tmp_path: Path) -> None:
    with fake_nexus() as (url, asked):
        done = run(tmp_path, "requests", "--url", url, TZ="UTC")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert asked[-1][0] == "/nexus/requests?limit=50"
    assert [line[22:24] for line in lines] == ["id", "r2", "r1", "r0"]
    assert lines[1].startswith(r" 2027-01-15 08:00:01  r2")
    assert r" gpt-4\x1b]0;x\x07 → llama3  local    restricted" in lines[1]
    assert "10+1,200" in lines[1]
    assert "live" in lines[2]
    assert lines[3].endswith("$0.0032  nobody")


def test_what_nexus_counted_itself_is_marked(tmp_path: Path) -> None:
    entry = {**REQUESTS["requests"][0], "is_estimated": True, "cost_usd": 0.0032}
    with fake_nexus(requests={"requests": [entry]}) as (url, _):
        done = run(tmp_path, "requests", "--url", url)

    assert "≈10+1,200  ≈$0.0032" in done.stdout


def test_logs_are_lines_oldest_first(tmp_path: Path) -> None:
    with fake_nexus() as (url, asked):
        done = run(tmp_path, "logs", "--url", url, TZ="UTC")

    assert (done.returncode, done.stderr) == (0, "")
    assert asked[-1][0] == "/nexus/logs?limit=50"
    assert done.stdout.splitlines() == [
        " 08:00:00  info      backend=local now=healthy  logger=nexus_core.fleet.health",
        r" 08:00:01  warning   the disk is full \x1b[2J  logger=nexus_core.money.ledger",
        " 08:00:02  error     failed request=r1  logger=nexus_core.api.app",
    ]


def test_logs_are_filtered_and_limited(tmp_path: Path) -> None:
    def shown(*arguments: str) -> list[str]:
        done = run(tmp_path, "logs", "--url", url, "--json", *arguments)
        return [line["id"] for line in json.loads(done.stdout)["lines"]]

    with fake_nexus() as (url, _):
        assert shown("--level", "warning") == ["ab-1", "ab-2"]
        assert shown("--level", "warning", "--limit", "1") == ["ab-2"]
        assert shown("--filter", "nexus_core !ledger HEALTH") == ["ab-0"]
        nothing = run(tmp_path, "logs", "--url", url, "--filter", "nowhere")

    assert nothing.stdout == " no line\n"


def test_watching_logs_shows_each_line_once(tmp_path: Path) -> None:
    nothing = {"lines": [], "last": "ab-2", "skipped": 0}
    news = {"lines": [{**LOGS["lines"][2], "text": "new"}], "last": "ab-9", "skipped": 6}
    answers: list[Any] = [LOGS, nothing, nothing, news]

    with fake_nexus(logs=lambda: answers.pop(0) if answers else nothing) as (url, asked):
        watching = Watching(tmp_path, "logs", "--url", url)
        lines = [watching.line() for _ in range(5)]
        code, stderr = watching.end()

    assert [line.partition("  logger=")[0].split()[-1] for line in lines] == [
        *("now=healthy", r"\x1b[2J", "request=r1"),
        *("skipped", "new"),
    ]
    assert lines[3] == " 6 lines skipped\n"
    assert "limit=2000&after=ab-2" in asked[2][0]
    assert (code, stderr) == (130, "")


def test_watching_logs_leaves_no_match_out_however_many_come_at_once(tmp_path: Path) -> None:
    many = [{**LOGS["lines"][2], "text": f"new {number}"} for number in range(100)]
    answers: list[Any] = [LOGS, {"lines": many, "last": "ab-200", "skipped": 0}]

    with fake_nexus(
        logs=lambda: answers.pop(0) if answers else {"lines": [], "last": "ab-200", "skipped": 0}
    ) as (url, _):
        watching = Watching(tmp_path, "logs", "--limit", "1", "--level", "error", "--url", url)
        lines = [watching.line() for _ in range(101)]
        watching.end()

    assert "failed request=r1  logger=" in lines[0]
    texts = [line.partition("  logger=")[0] for line in lines[1:]]
    assert [text.split()[-1] for text in texts] == list(map(str, range(100)))


def test_requests_are_filtered_and_limited(tmp_path: Path) -> None:
    with fake_nexus() as (url, asked):
        live = run(tmp_path, "requests", "--url", url, "--filter", "live")
        failed = run(tmp_path, "requests", "--url", url, "--filter", "status:5xx", "--json")
        first = run(tmp_path, "requests", "--url", url, "--limit", "1", "--json")

    assert [line.split()[-1] for line in live.stdout.splitlines()] == ["error", "–"]  # noqa: RUF001
    assert " r1 " in live.stdout
    assert [r["id"] for r in json.loads(failed.stdout)["requests"]] == ["r0"]
    assert [r["id"] for r in json.loads(first.stdout)["requests"]] == ["r2"]
    assert [path for path, _ in asked if "limit" in path] == [
        "/nexus/requests?limit=1000",
        "/nexus/requests?limit=1000",
        "/nexus/requests?limit=1",
    ]


def test_json_is_the_answer_in_ascii(tmp_path: Path) -> None:
    with fake_nexus() as (url, _):
        status = run(tmp_path, "status", "--url", url, "--json")
        requests = run(tmp_path, "requests", "--url", url, "--json")

    assert json.loads(status.stdout) == {**STATE, "costs": COSTS}
    assert json.loads(requests.stdout) == REQUESTS
    assert (status.stdout + requests.stdout).isascii()
    assert "\x1b" not in status.stdout + requests.stdout


@pytest.mark.parametrize("twin", ["status", "backends"])
def test_a_real_nexus_is_shown(tmp_path: Path, twin: str) -> None:
    with running(tmp_path, OFFLINE + BACKEND) as url:
        port = url.rpartition(":")[2]
        by_url = run(tmp_path, twin, "--url", f"{url}/v1")
        by_port = run(tmp_path, "--port", port, twin)

    assert (by_url.returncode, by_url.stderr) == (0, "")
    assert by_port.returncode == 0
    assert "vllm" in by_url.stdout or "1 of 1 usable" in by_url.stdout


@pytest.mark.parametrize("twin", TWINS)
def test_the_key_of_the_environment_is_sent_to_a_nexus_only(tmp_path: Path, twin: str) -> None:
    with fake_nexus() as (url, asked):
        run(tmp_path, twin, "--url", url, NEXUS_ADMIN_KEY="sk-boss", NEXUS_API_KEYS="k1")
        run(tmp_path, twin, "--url", url, NEXUS_API_KEYS="k1,k2")
    with stranger() as (url, keys):
        other = run(tmp_path, twin, "--url", url, NEXUS_ADMIN_KEY="sk-boss")

    sent = [key for path, key in asked if path != "/health"]
    assert list(dict.fromkeys(sent)) == ["Bearer sk-boss", "Bearer k1"]
    assert {key for path, key in asked if path == "/health"} == {None}
    assert keys == [None]
    assert other.returncode == 2
    assert f"{twin}: the server at {url} is not a Nexus" in other.stderr


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "http://127.0.0.1:9"],
        ["--url", "http://u:secret@127.0.0.1:9"],
        ["--port", "0"],
        ["--watch", "0"],
        ["--watch", "soon"],
        ["--config", "gone.toml"],
    ],
)
def test_what_cannot_be_shown_is_exit_code_2(
    tmp_path: Path, twin: str, arguments: list[str]
) -> None:
    done = run(tmp_path, twin, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert "secret@" not in done.stderr


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--filter", "status:abc"]])
def test_a_limit_or_filter_that_makes_no_sense_is_told(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = run(tmp_path, "requests", *arguments)

    assert done.returncode == 2
    assert arguments[0] in done.stderr


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 50_000, {"backends": 3}, None])
@pytest.mark.parametrize("twin", TWINS)
def test_rubbish_for_an_answer_is_told(tmp_path: Path, twin: str, content: Any) -> None:
    with fake_nexus(state=content, requests=content, logs=content) as (url, _):
        done = run(tmp_path, twin, "--url", url)

    assert (done.returncode, done.stdout) == (2, "")
    assert "incompatible Nexus version" in done.stderr


# Again and again


def test_watching_appends_plain_blocks_until_ctrl_c(tmp_path: Path) -> None:
    with fake_nexus() as (url, _):
        watching = Watching(tmp_path, "backends", "--url", url)
        lines = [watching.line() for _ in range(11)]
        code, stderr = watching.end()

    assert (code, stderr) == (130, "")
    assert [line.count(":") for line in (lines[0], lines[6])] == [2, 2]  # the time of day
    assert lines[5] == "\n"
    assert lines[1:5] == lines[7:11]
    assert "\x1b" not in "".join(lines)


def test_watching_as_json_is_one_answer_a_line(tmp_path: Path) -> None:
    with fake_nexus() as (url, _):
        watching = Watching(tmp_path, "status", "--json", "--url", url)
        answers = [json.loads(watching.line()) for _ in range(2)]
        watching.end()

    assert answers == [{**STATE, "costs": COSTS}] * 2


def test_watching_outlives_a_nexus_that_is_away_for_a_while(tmp_path: Path) -> None:
    answers: list[Any] = [STATE, b"not yet", b"not yet", STATE]

    def state() -> Any:
        return answers.pop(0) if answers else STATE

    with fake_nexus(state=state) as (url, _):
        watching = Watching(tmp_path, "status", "--json", "--url", url)
        shown = [json.loads(watching.line()) for _ in range(2)]
        code, stderr = watching.end()

    assert shown == [{**STATE, "costs": COSTS}] * 2
    assert code == 130
    assert stderr.count("trying again") == 1


def test_watching_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    with fake_nexus() as (url, _):
        watching = Watching(tmp_path, "status", "--url", url)
        watching.line()
        watching.stdout.close()

        code = watching.process.wait(SECONDS)
        said = watching.stderr.read()

    assert (code, said) == (0, "")


# The parts


def test_what_has_a_cooldown_is_told_with_its_model() -> None:
    over = {"seconds": 0.0, "why": "answered 429", "is_circuit_open": False}
    backend = {
        "cooldown": over | {"seconds": 58.2, "why": "the account has no credit"},
        "cooldowns": {
            "m": over | {"seconds": 11.4},
            "n": over | {"is_circuit_open": True, "why": "answered 500"},
            "o": over,
        },
    }

    assert cooldowns(backend) == [
        "cooldown, 59 s left: the account has no credit",
        "m: cooldown, 12 s left: answered 429",
        "n: half-open, one request at a time: answered 500",
    ]
    assert cooldowns({}) == []


def test_no_twin_loads_what_draws(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom nexus_tui import cli\n"
        "code = cli.main(sys.argv[1:])\n"
        "print(code, 'textual' in sys.modules, file=sys.stderr)"
    )
    costs: dict[str, Any] = {"costs": None, "by": "model", "month": "2026-11", "lines": []}
    more = {"/nexus/requests/r1": {**REQUESTS["requests"][1], "model": "m"}}
    with fake_nexus(costs=costs, more=more) as (url, _):
        for twin in ("request r1", "costs", *TWINS):
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-c", program, *twin.split(), "--url", url],
                cwd=tmp_path,
                env=clean_environment(tmp_path),
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stderr == "0 False\n"
