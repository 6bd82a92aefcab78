"""`nexus status` in words: who is alone, what that closes, who is dead or differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nexus_tui.commands.status import fleet_words
from tests.tui.commands.serving import COSTS, fake_nexus
from tests.tui.process.test_cli import run

ALONE = {
    "replica": "box-1",
    "alone": True,
    "alone_since": 1_800_000_000.0,
    "why": "it does not answer in time",
    "closed": ["the open zone"],
}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, []),
        ({"fleet": {"alone": False}, "replicas": [{"name": "box-1"}]}, []),
        (
            {"replicas": [{"name": "b", "dead": True, "last_beat_seconds": 12.4}]},
            ["b is DEAD: silent for 12 s"],
        ),
        (
            {"replicas": [{"name": "b", "differs": ["config", "version"]}]},
            ["b differs: config, version"],
        ),
    ],
)
def test_what_is_wrong_is_told(state: dict[str, Any], words: list[str]) -> None:
    assert list(fleet_words(state)) == words


def test_who_is_alone_tells_since_when_why_and_what_is_closed() -> None:
    (word,) = fleet_words({"fleet": ALONE})

    assert word.startswith("box-1 is ALONE since ")
    assert word.endswith(
        "no word from the store: it does not answer in time; the open zone is closed"
    )
    (open_word,) = fleet_words({"fleet": {**ALONE, "closed": []}})
    assert open_word.endswith("in time")


def test_what_the_store_waits_for_is_told() -> None:
    waits = {"alone": False, "alone_since": None, "why": "it lost its data"}

    assert list(fleet_words({"fleet": {**ALONE, **waits}})) == [
        "the fleet's store: it lost its data; the open zone is closed"
    ]


def test_rows_that_postgresql_does_not_have_are_told(tmp_path: Path) -> None:
    outbox = {"rows": 9, "oldest": 1.0, "is_fleet": False, "problem": "PostgreSQL (X): no"}
    with fake_nexus(costs={"costs": {**COSTS, "outbox": outbox}}) as (url, _):
        done = run(tmp_path, "status", "--url", url)

    assert " ledger      9 rows wait here: PostgreSQL (X): no" in done.stdout.splitlines()
