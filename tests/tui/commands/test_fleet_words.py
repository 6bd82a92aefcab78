"""`nexus status` in words: who is alone, what that closes, who is dead or differs."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_tui.commands.status import fleet_words

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
