"""Bodies in the detail of a request: as long as clients like, and laid out within a bound."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import ClassVar

import msgspec
import pytest

from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import DecisionToTell, RequestRecord
from nexus_core.types import HealthCause, HealthStatus
from nexus_tui.app import NexusApp
from nexus_tui.widgets.base.lines import Line
from nexus_tui.widgets.panes import answer_pane, request_pane, route_pane
from tests.tui.fleet import fixed_now, seen
from tests.tui.screen import press, screen_text
from tests.tui.staged import ANSWERS, captured, keep_two, make_stage, streamed
from tests.waiting import until

LONG = json.dumps({"model": "gpt-4", "messages": [{"role": "user", "content": "word " * 57_600}]})
ROW = RequestRecord("a81f7c", 0.0)


class Read(CapturedExchange):
    """A captured exchange that tells how often its bodies are read."""

    reads: ClassVar[Counter[str]] = Counter()

    def __getattribute__(self, name: str) -> object:
        Read.reads[name] += 1
        return super().__getattribute__(name)


def _text(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize(
    "body",
    [LONG, "\n" * 100_000, "\x01" * 100_000, "\u65e5" * 100_000],
    ids=["one line", "empty lines", "controls", "wide"],
)
def test_of_a_long_body_a_bounded_part_is_laid_out(body: str) -> None:
    kept = captured("a81f7c", body.encode(), body.encode())

    asked = _text(request_pane(ROW, kept, True, 80))
    answered = _text(answer_pane(ROW, kept, True, 80))

    assert len(asked) < 5000
    assert len(answered) < 5000
    assert asked[-1].endswith(
        "more characters not shown: y, then c, copies the full request as curl."
    )
    assert answered[-1].endswith("more characters not shown: y, then a, copies the full answer.")


def test_what_is_not_shown_is_counted() -> None:
    kept = captured("a81f7c", b"", b"x" * (64 * 1024 + 7))

    assert _text(request_pane(ROW, kept, True, 80))[-1].startswith(" 7 more characters")


@pytest.mark.parametrize(("tabs", "part"), [(1, "answer"), (2, "body")])
@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_a_body_is_laid_out_once_however_often_the_screen_is_painted(
    tabs: int, part: str, size: tuple[int, int]
) -> None:
    stage = make_stage()
    whole = captured("a81f7c", streamed(ANSWERS[0]), b'{"model":"gpt-4"}')
    stage.kept["a81f7c"] = Read(**asdict(whole))
    Read.reads.clear()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=size) as pilot:
        await press(pilot, *"jjj", "enter", *["tab"] * tabs)
        await until(lambda: Read.reads[part] > 0)
        before = Read.reads[part]
        for _ in range(5):
            app.painter.paint()
        await press(pilot, "j", "k")
        painted = Read.reads[part] - before
        await pilot.resize_terminal(100, 30)
        await until(lambda: Read.reads[part] == before + 1)

    assert painted == 0


async def test_a_long_body_is_on_the_screen_with_how_to_get_the_rest() -> None:
    stage = make_stage()
    stage.kept["a81f7c"] = captured("a81f7c", LONG.encode(), LONG.encode())
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"jjj", "enter", "tab", "tab", "G")
        await until(lambda: "more characters not shown" in screen_text(app))


async def test_the_answer_is_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage()
    keep_two(stage)
    app = NexusApp(stage.source, now=fixed_now)
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"jjj", "y", "a")
        await until(lambda: bool(copied))

    assert copied == [ANSWERS[0]]


async def test_an_answer_that_was_not_kept_can_not_be_copied() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "y", "a")
        await until(lambda: "no answer to copy" in screen_text(app))


def test_a_backend_that_is_considered_for_two_models_is_told_with_each() -> None:
    chosen = msgspec.structs.replace(seen("openai", 1), model="o-large")
    again = msgspec.structs.replace(seen("openai", 2), model="gpt-4")
    row = RequestRecord("a81f7c", 0.0, asked_model="o-large")
    row.backend, row.status, row.decision = "openai", 200, DecisionToTell((chosen, again))

    told = [line for line in _text(route_pane(row, None, 100)) if " openai " in line]

    assert [line.split("  ")[-1].strip() for line in told[-2:]] == [
        "o-large: ✓ 200",
        "gpt-4: not needed",
    ]


def test_a_refused_key_is_called_in_the_route_as_in_the_list_of_backends() -> None:
    refused = msgspec.structs.replace(
        seen("openai", None, "health", "401"),
        health=HealthStatus.UNHEALTHY,
        cause=HealthCause.AUTH,
    )
    row = RequestRecord("a81f7c", 0.0, asked_model="o-large")
    row.status, row.decision = 503, DecisionToTell((refused,))

    (told,) = [line for line in _text(route_pane(row, None, 100)) if " openai " in line]

    assert "✗ auth" in told
    assert "down" not in told
