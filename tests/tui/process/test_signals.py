"""SIGHUP: somebody wants the configuration read again, or the terminal is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from nexus_core.config.schema import Config
from nexus_core.config.tui import TuiConfig
from nexus_tui.process import signals as module
from nexus_tui.process.console.terminal import ControllingTerminal
from nexus_tui.process.signals import Signals
from tests.waiting import until


class Line:
    """What is at the other end of the terminal."""

    is_there = True


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture(autouse=True)
def _handlers_go(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
    yield
    signal.signal(signal.SIGHUP, before)


def make_signals(line: Line, on_hangup: str) -> Signals:
    tui = TuiConfig.model_validate({"on_hangup": on_hangup})
    return Signals(Config(tui=tui), ControllingTerminal(lambda: line.is_there))


async def hang_up(signals: Signals) -> None:
    """SIGHUP comes, and is handled."""
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()
    signals.take_over()
    loop.add_signal_handler(signal.SIGUSR1, seen.set)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(seen.is_set)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            loop.remove_signal_handler(number)


@pytest.mark.parametrize("on_hangup", ["exit", "serve"])
async def test_while_the_terminal_is_there_it_asks_for_a_reload(line: Line, on_hangup: str) -> None:
    signals = make_signals(line, on_hangup)

    await hang_up(signals)

    assert signals.hung_up.is_set()
    assert not signals.stop.is_set()


async def test_without_any_terminal_it_asks_for_a_reload(line: Line) -> None:
    line.is_there = False
    signals = make_signals(line, "exit")

    await hang_up(signals)

    assert signals.hung_up.is_set()
    assert not signals.stop.is_set()


@pytest.mark.parametrize(("on_hangup", "ends"), [("exit", True), ("serve", False)])
async def test_from_a_closed_terminal_it_is_the_end_unless_told_otherwise(
    line: Line, on_hangup: str, ends: bool
) -> None:
    signals = make_signals(line, on_hangup)
    line.is_there = False

    await hang_up(signals)

    assert signals.stop.is_set() is ends
    assert not signals.hung_up.is_set()


async def test_nohup_serves_on(line: Line) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals = make_signals(line, "exit")
    line.is_there = False

    await hang_up(signals)

    assert not signals.stop.is_set()


async def test_a_terminal_that_signals_before_it_goes_is_a_closed_one(line: Line) -> None:
    signals = make_signals(line, "exit")
    await hang_up(signals)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(signals.watch_terminal())
        line.is_there = False

    assert signals.stop.is_set()


async def test_a_job_that_no_signal_reached_lives_on_and_reloads_later(line: Line) -> None:
    now = [0.0]
    terminal = ControllingTerminal(lambda: line.is_there, lambda: now[0])
    signals = Signals(Config(), terminal)
    line.is_there = False
    await signals.watch_terminal()
    assert not signals.stop.is_set()
    now[0] = 60

    await hang_up(signals)

    assert signals.hung_up.is_set()
    assert not signals.stop.is_set()


@pytest.mark.parametrize(("on_hangup", "ends"), [("exit", True), ("serve", False)])
async def test_a_screen_lost_with_the_terminal_needs_no_signal(
    line: Line, on_hangup: str, ends: bool
) -> None:
    signals = make_signals(line, on_hangup)
    line.is_there = False

    signals.screen_lost()

    assert signals.stop.is_set() is ends


async def test_a_screen_lost_on_another_terminal_changes_nothing(line: Line) -> None:
    signals = make_signals(line, "exit")

    signals.screen_lost()

    assert not signals.stop.is_set()
