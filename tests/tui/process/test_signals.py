from __future__ import annotations

import asyncio
import os
import signal

import pytest

from nexus_core.config.schema import Config
from nexus_core.config.tui import TuiConfig
from nexus_tui.process.signals import Signals
from tests.waiting import until


@pytest.mark.parametrize(
    ("is_headless", "on_hangup", "ends"),
    [(False, "exit", True), (False, "serve", False), (True, "exit", False)],
)
async def test_a_closed_terminal_ends_the_dashboard_s_process_unless_told_otherwise(
    is_headless: bool, on_hangup: str, ends: bool
) -> None:
    tui = TuiConfig.model_validate({"on_hangup": on_hangup})
    signals = Signals(is_headless, Config(tui=tui))
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()
    signals.take_over()
    try:
        loop.add_signal_handler(signal.SIGUSR1, seen.set)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(seen.is_set)

        assert signals.stop.is_set() is ends
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            loop.remove_signal_handler(number)
