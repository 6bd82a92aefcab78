"""`nexus logs`: days; the rest is in test_twins."""

from __future__ import annotations

from pathlib import Path

from tests.tui.commands.serving import LOGS, fake_nexus
from tests.tui.process.test_cli import run


def test_the_date_stands_where_a_day_begins(tmp_path: Path) -> None:
    first, second, third = LOGS["lines"]
    later = [{**second, "at": first["at"] + 86_400}, {**third, "at": first["at"] + 86_401}]
    with fake_nexus(logs={**LOGS, "lines": [first, *later]}) as (url, _):
        done = run(tmp_path, "logs", "--url", url, TZ="UTC")

    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        *("08:00:00", "2027-01-16", "08:00:00", "08:00:01"),
    ]


def test_dash_n_is_limit(tmp_path: Path) -> None:
    with fake_nexus() as (url, asked):
        done = run(tmp_path, "logs", "-n", "2", "--url", url)

    assert done.returncode == 0
    assert asked[-1][0] == "/nexus/logs?limit=2"
