"""The filter of `nexus requests`: the real command; a Nexus answers as told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nexus_tui.commands.base.request_line import read_line
from nexus_tui.view.filter.requests import parse_filter
from tests.tui.commands.serving import REQUESTS, STATE, fake_nexus
from tests.tui.process.test_cli import run


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["live"], ["r1"]),
        (["status:5xx", "cost:>0.001"], ["r0"]),
        (["status:5xx", "or", "live"], ["r1", "r0"]),
        (["!live", "--filter", "gpt or status:5xx"], ["r2", "r0"]),
        (["error:nobody"], ["r0"]),
        (["first:>50ms"], ["r2"]),
        (["until:2027-01-15T08:00:00"], ["r0"]),
        (["模型"], []),  # a word
    ],
)
def test_a_filter_is_written_as_on_the_screen(
    tmp_path: Path, arguments: list[str], ids: list[str]
) -> None:
    with fake_nexus() as (url, _):
        done = run(tmp_path, "requests", *arguments, "--url", url, "--json", TZ="UTC")

    assert (done.returncode, done.stderr) == (0, "")
    assert [one["id"] for one in json.loads(done.stdout)["requests"]] == ids


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("staus:5xx", 'requests: unknown key "staus"; did you mean "status"?'),
        ("status:9xx", "status: must be a number or class"),
        ("until:2027-01-15T07:59:60", "until: must be a time"),
        ("backend:clod", 'backend: none is called "clod"; did you mean "cloud"?'),
        ("foo:bar", 'no key is called "foo", and no name holds "foo:bar"'),
    ],
)
def test_a_filter_that_can_match_nothing_is_told(tmp_path: Path, text: str, told: str) -> None:
    with fake_nexus() as (url, _):
        done = run(tmp_path, "requests", text, "--url", url)

    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


@pytest.mark.parametrize("text", ["backend:cloud", "m:7b", "model:m:7b"])
def test_a_name_that_the_nexus_knows_is_no_mistake(tmp_path: Path, text: str) -> None:
    state = {**STATE, "backends": [{**STATE["backends"][1], "models": {"m:7b": "m:7b"}}]}
    with fake_nexus(state=state) as (url, _):
        done = run(tmp_path, "requests", text, "--url", url)

    assert (done.returncode, done.stdout, done.stderr) == (0, " no request\n", "")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("key:laptp", "laptop"), ("agent:codx", "codex"), ("session:3f2x", "3f2a")],
)
def test_who_asked_for_nothing_is_told_of(tmp_path: Path, text: str, meant: str) -> None:
    asked = {"client": "laptop", "agent": "codex", "session": "3f2a"}
    entry = {**REQUESTS["requests"][0], **asked}
    with fake_nexus(requests={"requests": [entry]}) as (url, _):
        done = run(tmp_path, "requests", text, "--url", url)

    name, _, wrong = text.partition(":")
    assert (done.returncode, done.stdout) == (0, " no request\n")
    assert f'{name}: none is called "{wrong}"; did you mean "{meant}"?' in done.stderr


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ["r2", "r1", "r0"]),
        ("gpt", ["r2"]),
        ("!live", ["r2", "r0"]),
        ("zone:restricted", ["r2"]),
        ("reason:capability slow:>2s", ["r2"]),
        ("backend:local !status:200", []),
        ("cost:>0.001", ["r0"]),
    ],
)
def test_the_filter_language_is_the_dashboards(text: str, ids: list[str]) -> None:
    wanted = parse_filter(text)
    requests = [read_line(entry) for entry in REQUESTS["requests"]]

    assert [line.id for line in requests if wanted.matches(line)] == ids
