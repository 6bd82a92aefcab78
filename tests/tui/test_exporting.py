"""Exports to files: what is in them, and what never is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.app import NexusApp
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import keep_two, make_stage
from tests.waiting import until


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def export(*keys: str, is_restricted: bool = False) -> str:
    """The text of the file that these keys write."""
    stage = make_stage()
    keep_two(stage)
    for request_id, kept in stage.kept.items():
        stage.kept[request_id] = replace(kept, is_restricted=is_restricted)
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *keys, "enter")
        await until(lambda: "exported " in screen_text(app))
    return written()[0]


def written() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in Path().iterdir()]


def entries(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["log"]["entries"])


def has_body(entry: dict[str, Any]) -> bool:
    return "postData" in entry["request"] and "text" in entry["response"]["content"]


async def test_the_list_as_har_has_the_bodies_that_were_captured() -> None:
    found = entries(await export("e", "h"))

    assert len(found) > 20
    assert [entry["_nexus"]["id"] for entry in found if has_body(entry)] == ["a81f7c", "a81f78"]


@pytest.mark.parametrize("keys", [("e", "h"), (*"jjj", "enter", "e", "h")])
async def test_a_restricted_body_is_in_no_file(keys: tuple[str, ...]) -> None:
    text = await export(*keys, is_restricted=True)

    assert not any(has_body(entry) for entry in entries(text))
    assert "sky" not in text


async def test_of_an_open_request_only_that_is_exported() -> None:
    (entry,) = entries(await export(*"jjj", "enter", "e", "h"))

    assert entry["_nexus"]["id"] == "a81f7c"
    assert has_body(entry)


async def test_the_answer_of_an_open_request_is_a_file() -> None:
    assert (await export(*"jjj", "enter", "e", "a")).startswith("The sky is blue")


async def test_the_details_of_an_open_request_are_a_file() -> None:
    assert json.loads(await export(*"jjj", "enter", "e", "d"))["id"] == "a81f7c"


async def test_a_restricted_answer_is_not_offered() -> None:
    stage = make_stage()
    keep_two(stage)
    stage.kept["a81f7c"] = replace(stage.kept["a81f7c"], is_restricted=True)
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, *"jjj", "enter", "e", "a")

    assert "its answer as text  restricted, so never in a file" in text
    assert written() == []
