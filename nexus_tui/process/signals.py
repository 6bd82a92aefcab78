"""Signal handling: SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexus_core.config.schema import Config

log = logging.getLogger(__name__)

SIGNAL_EXIT = 128  # plus the signal's number: ended at once by a second signal
_LAST_CHANCE_SECONDS = 1.0  # for the terminal to be restored after that


class Signals:
    """Signal handlers: SIGINT and SIGTERM drain and stop; a second one stops at once.

    SIGHUP ends it with the screen; without one it asks for the configuration to be read again.
    """

    def __init__(self, is_headless: bool, config: Config) -> None:
        self.stop = asyncio.Event()
        self.hung_up = asyncio.Event()  # headless: the configuration is to be read again
        self.is_headless = is_headless
        self.exit_code = 1  # of an end at once
        self.end_code = 0  # of one in good order
        self._serves_on = config.tui.on_hangup == "serve"
        self._task: asyncio.Task[object] | None = None

    def take_over(self) -> None:
        """Handle them on the running loop, for the task that calls this."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

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
        if not self.is_headless:
            if not self._serves_on:
                self.stop.set()
            return
        self.hung_up.set()  # the custom of servers: read the configuration again
