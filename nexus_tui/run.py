"""Run the dashboard on the loop that is already running, and leave the terminal as it was."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from nexus_tui.app import NexusApp
from nexus_tui.driver import NexusDriver
from nexus_tui.source import EventSource

_TEXTUAL_SIGNALS = (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)


async def run_dashboard(source: EventSource, *, stop: asyncio.Event) -> None:
    """Show the dashboard until its user quits or `stop` is set.

    The terminal is restored before this returns or raises. SIGINT, SIGTERM and SIGHUP are left to
    the caller.

    Raises:
        TerminalLostError: the terminal is gone.
        Exception: what the app crashed of.
    """
    app = NexusApp(source, now=source.now, stop=stop, driver_class=NexusDriver)
    try:
        with _signals_given_back():
            await app.run_async()
    finally:
        source.close()
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # Textual ends on it, and keeps it to itself
    if app.crash is not None:
        raise app.crash


@contextmanager
def _signals_given_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _TEXTUAL_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
