"""Signal handling: SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from nexus_tui.process.console.terminal import ControllingTerminal

if TYPE_CHECKING:
    from nexus_core.config.schema import Config

log = logging.getLogger(__name__)

SIGNAL_EXIT = 128  # plus the signal's number: ended at once by a second signal
_LAST_CHANCE_SECONDS = 1.0  # for the terminal to be restored after that
_LOOK_SECONDS = 1.0  # from look to look whether the terminal is still there


class Signals:
    """Signal handlers: SIGINT and SIGTERM drain and stop; a second one stops at once.

    SIGHUP asks for the configuration to be read again, with the dashboard and without. It also
    comes when the terminal is closed: then [tui] on_hangup decides, and a process that was started
    with SIGHUP ignored, as nohup does, serves on.
    """

    def __init__(self, config: Config, terminal: ControllingTerminal | None = None) -> None:
        self.stop = asyncio.Event()
        self.hung_up = asyncio.Event()  # the configuration is to be read again
        self.exit_code = 1  # of an end at once
        self.end_code = 0  # of one in good order
        self._terminal = terminal or ControllingTerminal()
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._serves_on = is_ignored or config.tui.on_hangup == "serve"
        self._is_closed = False  # the terminal, and it is known what follows
        self._task: asyncio.Task[object] | None = None

    def take_over(self) -> None:
        """Handle them on the running loop, for the task that calls this."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    async def watch_terminal(self) -> None:
        """Notice when the terminal is closed, which SIGHUP may precede or follow; until it is."""
        while self._terminal.is_open:
            await asyncio.sleep(_LOOK_SECONDS)
            self._terminal.look()
        if self._terminal.hung_up:
            self._close()

    def screen_lost(self) -> None:
        """The dashboard's terminal is gone; if it was the process's own, this is a hang-up."""
        self._terminal.look()
        if self._terminal.was_closed:
            self._close()

    def _end(self, number: int) -> None:
        if not self.stop.is_set():
            self.stop.set()
            return
        self.exit_code = SIGNAL_EXIT + number
        loop = asyncio.get_running_loop()
        loop.call_later(_LAST_CHANCE_SECONDS, os._exit, self.exit_code)
        if self._task is not None:
            self._task.cancel()

    def _hang_up(self) -> None:
        self._terminal.signalled()
        if self._terminal.hung_up:
            self._close()
        else:
            self.hung_up.set()  # the custom of servers: read the configuration again

    def _close(self) -> None:
        """The terminal was closed, as several signs may tell."""
        if self._is_closed or self.stop.is_set():
            return
        self._is_closed = True
        if self._serves_on:
            log.info("terminal closed; serving on")
        else:
            log.info("terminal closed; stopping, as on_hangup in [tui] says")
            self.stop.set()
