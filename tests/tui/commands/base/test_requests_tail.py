"""`nexus requests --watch`: a line for what is new and for what ended, also after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.tui.commands.serving import fake_nexus
from tests.tui.commands.watching import Watching
from tests.tui.process.test_cli import run

NOON = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def told(request_id: str, at: float = NOON, **more: Any) -> dict[str, Any]:
    return {
        "id": request_id,
        "at": at,
        "model": "m",
        "status": 200,
        "total_ms": 1000.0,
        "is_running": False,
        **more,
    }


def live(request_id: str, at: float = NOON, **more: Any) -> dict[str, Any]:
    return told(request_id, at, **{"status": None, "total_ms": None, "is_running": True, **more})


def answers(*lists: Sequence[dict[str, Any]], run: str = "ab") -> Iterator[Any]:
    """One after the other, newest first; the last one again and again."""
    for one in lists:
        yield {"run": run, "requests": one}
    while True:
        yield {"run": run, "requests": lists[-1]}


def words(line: str) -> list[str]:
    return line.split()


def ids(lines: Sequence[str]) -> list[str]:
    return [words(line)[1] for line in lines]


def watched(
    tmp_path: Path, told_lists: Iterator[Any], count: int, *arguments: str, **more: Any
) -> tuple[list[str], str]:
    """So many lines, and what was said on stderr."""
    with fake_nexus(requests=lambda: next(told_lists), more=more) as (url, _):
        watching = Watching(tmp_path, "requests", *arguments, "--url", url)
        lines = [watching.line() for _ in range(count)]
        _, said = watching.end()
    return lines, said


def test_each_request_is_told_when_it_comes_and_when_it_ends(tmp_path: Path) -> None:
    told_lists = answers(
        [live("r2"), told("r1")],
        [live("r2"), told("r1")],
        [told("r4", NOON + 1), live("r3", NOON + 1), told("r2"), told("r1")],
        [told("r4", NOON + 1), told("r3", NOON + 1), told("r2"), told("r1")],
    )

    lines, said = watched(tmp_path, told_lists, 8)

    assert said == ""
    assert words(lines[0])[:2] == ["time", "id"]
    assert words(lines[1])[0].startswith("2027-01-1")
    assert ids(lines[2:4]) == ["r1", "r2"]
    assert "live" in words(lines[3])
    assert "live" not in words(lines[2])
    assert sorted(ids(lines[4:7])) == ["r2", "r3", "r4"]
    assert ids(lines[7:]) == ["r3"]


def test_a_day_is_told_where_it_begins(tmp_path: Path) -> None:
    day = 86_400.0
    told_lists = answers(
        [told("r1", NOON)],
        [told("r2", NOON + day), told("r1", NOON)],
    )

    lines, _ = watched(tmp_path, told_lists, 5)

    assert [line[:11].strip() for line in lines[1:]][::2] == ["2027-01-15", "2027-01-16"]
    assert ids([lines[2], lines[4]]) == ["r1", "r2"]


def test_json_is_one_request_a_line(tmp_path: Path) -> None:
    told_lists = answers([told("r1")], [told("r2"), told("r1")])

    lines, _ = watched(tmp_path, told_lists, 2, "--json")

    assert [json.loads(line)["id"] for line in lines] == ["r1", "r2"]


def test_it_begins_with_as_many_as_are_wanted_and_shows_nothing_older_later(
    tmp_path: Path,
) -> None:
    old = [told(f"r{number}") for number in range(9, 0, -1)]
    told_lists = answers(old, old, [told("r10"), *old])

    lines, _ = watched(tmp_path, told_lists, 5, "-n", "2")

    assert ids(lines[2:]) == ["r8", "r9", "r10"]


def test_only_what_matches_is_told(tmp_path: Path) -> None:
    told_lists = answers(
        [told("r1"), live("r0")],
        [told("r3", status=503), told("r2"), told("r1"), told("r0", status=502)],
    )

    lines, _ = watched(tmp_path, told_lists, 2, "status:5xx", "--json")

    assert sorted(json.loads(line)["id"] for line in lines) == ["r0", "r3"]


def test_one_that_is_too_old_for_the_list_is_asked_for_until_it_ends(tmp_path: Path) -> None:
    told_lists = answers([live("r1")], [told("r3"), told("r2")])
    detail = iter([live("r1")])
    more = {"/nexus/requests/r1": lambda: next(detail, told("r1", total_ms=5000.0))}

    lines, _ = watched(tmp_path, told_lists, 4, "--json", **more)

    shown = [json.loads(line) for line in lines]
    assert [one["id"] for one in shown if one["is_running"]] == ["r1"]
    assert shown[-1]["id"] == "r1"
    assert not shown[-1]["is_running"]


def test_after_a_restart_it_goes_on_and_says_so(tmp_path: Path) -> None:
    def restarted() -> Iterator[Any]:
        yield {"run": "ab", "requests": [live("r1")]}
        yield b"not yet"
        while True:
            yield {"run": "cd", "requests": [told("n1")]}

    lines, said = watched(tmp_path, restarted(), 2, "--json")

    assert [json.loads(line)["id"] for line in lines] == ["r1", "n1"]
    assert said.count("trying again") == 1
    assert "requests: the Nexus restarted; what became of 1 that ran is not known" in said


def test_a_flood_that_is_too_much_is_told(tmp_path: Path) -> None:
    pages = [[told(f"p{page}n{number}") for number in range(100)] for page in range(10)]
    told_lists = answers([told("r1")], *pages)

    lines, said = watched(tmp_path, told_lists, 1001, "--json")

    assert len({json.loads(line)["id"] for line in lines}) == 1001
    assert "more than 1000 at once; the oldest are left out" in said


def test_without_watch_rows_of_another_day_have_their_date(tmp_path: Path) -> None:
    with fake_nexus(requests={"requests": [told("r1")]}) as (url, _):
        done = run(tmp_path, "requests", "--url", url, TZ="UTC")

    assert done.stdout.splitlines()[1].startswith(" 2027-01-15 08:00:00  r1 ")


def test_key_tries_api_and_the_errors_code_are_told(tmp_path: Path) -> None:
    entry = told(
        "r1",
        client="laptop",
        tried=2,
        api="chat",
        error="the answer ended early",
        error_code="upstream_broke",
    )
    with fake_nexus(requests={"requests": [entry]}) as (url, _):
        done = run(tmp_path, "requests", "--url", url, TZ="UTC")

    head, row = done.stdout.splitlines()
    assert {"key", "api", "tries", "error"} <= set(words(head))
    assert {"laptop", "chat", "2", "cut"} <= set(words(row))
    assert row.endswith("upstream_broke: the answer ended early")


def test_dash_n_is_limit(tmp_path: Path) -> None:
    with fake_nexus() as (url, asked):
        done = run(tmp_path, "requests", "-n", "1", "--url", url, "--json")

    assert len(json.loads(done.stdout)["requests"]) == 1
    assert asked[-1][0] == "/nexus/requests?limit=1"
