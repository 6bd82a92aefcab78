"""Run the dashboard on the running event loop, and restore the terminal after it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager

from nexus_core.observe.log_ring import LogRing
from nexus_tui.actions.program import Server
from nexus_tui.app import NexusApp
from nexus_tui.draw.driver import NexusDriver
from nexus_tui.process.screen import Screen
from nexus_tui.sources.base import EventSource

_TEXTUAL_SIGNALS = (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)


async def run_dashboard(
    source: EventSource,
    *,
    stop: asyncio.Event,
    logs: LogRing | None = None,
    server: Server | None = None,
    screen: Screen | None = None,
    draws_ascii: bool | None = None,
) -> None:
    """Show the dashboard until its user quits or `stop` is set.

    `server` is what ends with it, and what its user may start again; None if it only looks on.
    `screen` is told of the dashboard while it is shown. `draws_ascii`: whether to draw in ASCII
    alone; None: as the configuration says.
    The terminal is restored before this returns or raises. SIGINT, SIGTERM and SIGHUP are left to
    the caller.

    Raises:
        TerminalLostError: the terminal is gone.
        Exception: what the app crashed of.
    """
    app = NexusApp(
        source,
        stop=stop,
        logs=logs,
        server=server,
        draws_ascii=draws_ascii,
        driver_class=NexusDriver,
    )
    screen = screen or Screen()
    screen.app = app
    try:
        with _signals_given_back():
            await app.run_async()
    finally:
        screen.app = None
        source.close()
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # Textual ends on it, and keeps it to itself
    if app.crash is not None:
        raise app.crash


@contextmanager
def _signals_given_back() -> Generator[None]:
    before = {number: signal.getsignal(number) for number in _TEXTUAL_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
