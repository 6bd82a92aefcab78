"""Bodies in the detail of a request: as long as clients like, and laid out within a bound."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from nexus_tui.app import NexusApp
from nexus_tui.view.rows import RequestRow
from nexus_tui.widgets.base.lines import Line
from nexus_tui.widgets.panes import answer_pane, request_pane
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import ANSWERS, Kept, keep_two, make_stage, streamed
from tests.waiting import until

LONG = json.dumps({"model": "gpt-4", "messages": [{"role": "user", "content": "word " * 57_600}]})
ROW = RequestRow(0, "a81f7c", 0.0)


@dataclass
class Read:
    """A captured exchange that counts how often its bodies are read."""

    request_id: str
    model: str = "gpt-4"
    status: int | None = 200
    is_whole: bool = True
    is_restricted: bool = False
    reads: list[str] = field(default_factory=list)

    @property
    def answer(self) -> bytes:
        self.reads.append("answer")
        return streamed(ANSWERS[0])

    @property
    def body(self) -> bytes:
        self.reads.append("body")
        return b'{"model":"gpt-4"}'


def _text(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize(
    "body",
    [LONG, "\n" * 100_000, "\x01" * 100_000, "\u65e5" * 100_000],
    ids=["one line", "empty lines", "controls", "wide"],
)
def test_of_a_long_body_a_bounded_part_is_laid_out(body: str) -> None:
    kept = Kept("a81f7c", body.encode(), body.encode())

    asked = _text(request_pane(ROW, kept, True, 80))
    answered = _text(answer_pane(ROW, kept, True, 80))

    assert len(asked) < 5000
    assert len(answered) < 5000
    assert asked[-1].endswith("more characters are not shown: y, then c, copies all of it as curl.")
    assert answered[-1].endswith("more characters are not shown: y, then a, copies all of it.")


def test_what_is_not_shown_is_counted() -> None:
    kept = Kept("a81f7c", b"", b"x" * (64 * 1024 + 7))

    assert _text(request_pane(ROW, kept, True, 80))[-1].startswith(" 7 more characters")


@pytest.mark.parametrize(("tabs", "part"), [(1, "answer"), (2, "body")])
@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_a_body_is_laid_out_once_however_often_the_screen_is_painted(
    tabs: int, part: str, size: tuple[int, int]
) -> None:
    stage = make_stage()
    read = Read("a81f7c")
    stage.kept["a81f7c"] = read
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=size) as pilot:
        await press(pilot, *"jjj", "enter", *["tab"] * tabs)
        await until(lambda: part in read.reads)
        before = read.reads.count(part)
        for _ in range(5):
            app.redraw()
        await press(pilot, "j", "k")
        painted = read.reads.count(part) - before
        await pilot.resize_terminal(100, 30)
        await until(lambda: read.reads.count(part) == before + 1)

    assert painted == 0


async def test_a_long_body_is_on_the_screen_with_how_to_get_the_rest() -> None:
    stage = make_stage()
    stage.kept["a81f7c"] = Kept("a81f7c", LONG.encode(), LONG.encode())
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"jjj", "enter", "tab", "tab", "G")
        await until(lambda: "more characters are not shown" in screen_text(app))


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
        await until(lambda: "there is no answer to copy" in screen_text(app))
