"""One painting for a key, from one frame; the pacer finds nothing left of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from nexus_core.control.commands import Command, Outcome
from nexus_tui.app import NexusApp
from nexus_tui.sources.local import LocalSource
from nexus_tui.widgets.base.lines import Line
from tests.tui.fake_gateway import FakeGateway
from tests.tui.fleet import fixed_now, make_source
from tests.tui.screen import press, screen_text
from tests.waiting import until


def make(monkeypatch: pytest.MonkeyPatch) -> tuple[NexusApp, LocalSource, FakeGateway]:
    """An app that paints only because of keys and events."""
    source, gateway = make_source(plays=False)
    gateway.held.close()
    app = NexusApp(source, now=fixed_now)
    monkeypatch.setattr(app.pacer, "_tick", 3600.0)
    return app, source, gateway


def drawings(app: NexusApp, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Line]]:
    """What is drawn of the backends' table from now on, each time."""
    drawn: list[Sequence[Line]] = []
    draw = app.tabs.backends.table.lines

    def lines(width: int, height: int) -> Sequence[Line]:
        drawn.append(draw(width, height))
        return drawn[-1]

    monkeypatch.setattr(app.tabs.backends.table, "lines", lines)
    return drawn


@pytest.mark.parametrize("key", ["space", "j", "P"])
async def test_a_key_is_painted_once(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _, _ = make(monkeypatch)

    async with app.run_test(size=(120, 36)) as pilot:
        before = await press(pilot, "3")
        drawn = drawings(app, monkeypatch)
        after = await press(pilot, key)

        assert not app.painter.intake.has_news  # nothing is left for the pacer

    assert after != before
    assert len(drawn) == 1


async def test_what_was_asked_for_is_seen_while_another_process_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, source, gateway = make(monkeypatch)
    answered, execute = asyncio.Event(), source.command

    async def slow(command: Command) -> Outcome:
        await answered.wait()
        return await execute(command)

    monkeypatch.setattr(source, "command", slow)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        drawn = drawings(app, monkeypatch)
        asked = await press(pilot, "space")
        assert gateway.switched == []
        answered.set()
        await until(lambda: "○ off" in screen_text(app))

    assert "switching off…" in asked
    assert len(drawn) == 2


async def test_rows_that_did_not_change_are_the_same_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, _, _ = make(monkeypatch)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        drawn = drawings(app, monkeypatch)
        await press(pilot, "ctrl+l")
        await press(pilot, "space")

    before, *_, after = drawn  # the first of them twice: anew, and because a key was pressed
    assert [one is other for one, other in zip(before, after, strict=True)] == [
        *(False, True),  # the title, which counts, and the headings
        False,  # the one that was switched
        *(True, True, True, True, True),
        False,  # that can't be used
    ]
