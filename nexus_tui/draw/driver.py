"""A non-blocking terminal driver for Textual."""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import sys
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

_QUEUED_WRITES = 30
_POLL_SECONDS = 0.1
_CLOSE_SECONDS = 1.0  # for the last sequences on a terminal that is not read
_SYNC_START = "\x1b[?2026h"
_SYNC_END = "\x1b[?2026l"


class TerminalWriter(Thread):
    """Write to a terminal without waiting for it: what it does not take at once, from a thread.

    The thread has a queue that refuses instead of blocking. It is rarely needed: to wake it, and to
    pass the interpreter's lock to and fro, holds the proxy up for longer than writing a frame.
    """

    def __init__(
        self, fd: int, *, on_empty: Callable[[], None], capacity: int = _QUEUED_WRITES
    ) -> None:
        super().__init__(daemon=True, name="nexus-terminal")
        self._fd = fd
        self._on_empty = on_empty  # called in this thread, when what waited is written
        self._queue: Queue[bytes | None] = Queue(capacity)
        self._give_up = Event()
        self._blocks = os.get_blocking(fd)
        self.lost = False  # the terminal is gone

    def put(self, text: str) -> bool:
        """Write or queue a text; False when there is no room or no terminal. Never waits."""
        if self.lost:
            return False
        data = text.encode("utf-8", "backslashreplace")
        if not self._blocks and not self._queue.unfinished_tasks:  # all before it is written
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                pass
            except OSError:
                self.lost = True
                self._offer_end()
                return False
        try:
            if data:
                self._queue.put_nowait(data)
        except Full:
            return False
        return True

    def clear(self) -> None:
        """Forget what is queued and not begun."""
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                return
            self._queue.task_done()

    def run(self) -> None:
        while not self._give_up.is_set():
            data = self._queue.get()
            if data is None or not self._write(data):
                return
            self._queue.task_done()
            if self._queue.empty():
                self._on_empty()

    def _write(self, data: bytes) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while data and not self._give_up.is_set():
            if not poll.poll(_POLL_SECONDS * 1000):
                continue
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                # Room for less than a line: poll says writable, write does not.
                time.sleep(_POLL_SECONDS / 10)
            except OSError:
                self.lost = True
                return False
        return not data

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Write out what is queued, for a limited time, and end the thread."""
        deadline = time.monotonic() + seconds
        if self.is_alive():
            if not self._offer_end():
                self.clear()
                self._offer_end()
            self.join(max(0.0, deadline - time.monotonic()))
        self._give_up.set()
        self.join(2 * _POLL_SECONDS)

    def _offer_end(self) -> bool:
        try:
            self._queue.put_nowait(None)
        except Full:
            return False
        return True


class NexusDriver(LinuxDriver):
    """Textual's driver with a writer that drops frames rather than stopping the proxy.

    After a drop everything is dropped until the terminal has caught up; then one full repaint is
    owed and asked for. A terminal that is gone ends the input thread and every later write.
    """

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        # The base class leaves open what the app gives back.
        super().__init__(app, debug=debug, mouse=mouse, size=size)  # pyright: ignore[reportUnknownMemberType]
        self._writer: TerminalWriter | None = None
        self._output_fd: int | None = None
        self._frame: list[str] | None = None  # the parts of a synchronized update
        self.owes_repaint = False

    def start_application_mode(self) -> None:
        # The base class starts a writer of its own as well; nothing is ever written to it.
        self._output_fd = _own_descriptor(sys.__stderr__.fileno() if sys.__stderr__ else 2)
        self._writer = TerminalWriter(self._output_fd, on_empty=self._ran_empty)
        self._writer.start()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def _get_terminal_size(self) -> tuple[int, int]:
        """Columns and lines of the terminal that is drawn on.

        The base class asks stdout, which may be a pipe, or the variables of a shell.
        """
        if self._output_fd is not None:
            with suppress(OSError):
                size = os.get_terminal_size(self._output_fd)
                if size.columns and size.lines:
                    return size.columns, size.lines
        return super()._get_terminal_size()

    def write(self, data: str) -> None:
        """Queue a frame whole, or drop it and owe a repaint."""
        if data == _SYNC_START:
            self._frame = []
        if self._frame is None:
            self._send(data)
            return
        self._frame.append(data)
        if data == _SYNC_END:
            frame, self._frame = "".join(self._frame), None
            self._send(frame)

    def _send(self, data: str) -> None:
        if self._writer is None or self.owes_repaint:
            return
        self.owes_repaint = not self._writer.put(data)

    def _ran_empty(self) -> None:
        if self.owes_repaint:
            self._loop.call_soon_threadsafe(self._pay_repaint)

    def _pay_repaint(self) -> None:
        if self.owes_repaint and self._app.is_running:
            self.owes_repaint = False
            self._app.refresh()

    def stop_application_mode(self) -> None:
        """Restore the terminal. Frames that still wait make room for the last sequences."""
        self._frame = None
        self.owes_repaint = False
        if self._writer is not None:
            self._writer.clear()
        super().stop_application_mode()

    async def hand_over(self) -> None:
        """Restore the terminal and leave it alone, without holding the event loop up.

        What the base class waits for to suspend itself is waited for in a thread beforehand.
        """
        if self._key_thread is not None:
            self.exit_event.set()
            await asyncio.to_thread(self._key_thread.join)
            self.exit_event.clear()
        self.stop_application_mode()
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.close)
        self.close()
        # Should the app end meanwhile: to touch the terminal from the background stops a process.
        self.attrs_before = None
        self.exit_event.set()

    def take_back(self) -> None:
        """Draw again; the app paints everything anew once it is asked to."""
        self.exit_event.clear()
        self.start_application_mode()

    def close(self) -> None:
        super().close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._output_fd is not None:
            os.close(self._output_fd)
            self._output_fd = None

    def run_input_thread(self) -> None:
        """Turn bytes into events until told to stop or until the terminal is gone.

        The base class spins on a terminal that was closed, and ends the app with a traceback.
        """
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(_POLL_SECONDS):
                    data = _read(self.fileno)
                    if not data:
                        self._terminal_is_gone()
                        return
                    for message in parser.feed(decode(data)):
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def _terminal_is_gone(self) -> None:
        if self._writer is not None:
            self._writer.lost = True
        lost = getattr(self._app, "terminal_lost", None)
        if lost is not None:
            self._loop.call_soon_threadsafe(lost)


def _read(fd: int) -> bytes:
    """What is there; empty at the end and when the terminal is gone."""
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""


def _own_descriptor(fd: int) -> int:
    """A non-blocking way to the same terminal.

    Opened anew, because O_NONBLOCK on the inherited descriptor would also change the shell's.
    """
    try:
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return os.dup(fd)
