from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.app import App

from nexus_tui.draw.driver import NexusDriver, TerminalWriter

SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"


@dataclass
class Pipe:
    """Stands in for a terminal that is read slowly or not at all."""

    reader: int
    writer: int


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    yield Pipe(reader, writer)
    for fd in (reader, writer):
        with suppress(OSError):
            os.close(fd)


# --- the writer ----------------------------------------------------------------------------


def test_what_is_put_is_written_at_once_where_the_terminal_takes_it(pipe: Pipe) -> None:
    writer = TerminalWriter(pipe.writer, on_empty=lambda: None)  # its thread never runs

    assert writer.put("one ")
    assert writer.put("twö")

    assert os.read(pipe.reader, 100).decode() == "one twö"


def test_what_the_terminal_does_not_take_at_once_is_written_in_order(pipe: Pipe) -> None:
    empty = threading.Event()
    writer = TerminalWriter(pipe.writer, on_empty=empty.set)
    writer.start()
    texts = [letter * 50_000 for letter in "abcd"]

    assert all(writer.put(text) for text in texts)  # a pipe holds 64 KB
    seen = b""
    while len(seen) < 200_000:
        seen += os.read(pipe.reader, 10_000)

    assert seen.decode() == "".join(texts)
    assert empty.wait(5)
    assert writer.put("e")  # by itself again
    assert os.read(pipe.reader, 100) == b"e"
    writer.close()
    assert not writer.is_alive()


def test_a_terminal_that_would_block_is_written_to_by_the_thread_alone(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, True)
    writer = TerminalWriter(pipe.writer, on_empty=lambda: None)

    assert writer.put("x")
    assert not select.select([pipe.reader], [], [], 0)[0]  # the thread does not run yet
    writer.start()

    assert os.read(pipe.reader, 100) == b"x"
    writer.close()


def test_a_terminal_that_is_not_read_refuses_and_never_blocks(pipe: Pipe) -> None:
    writer = TerminalWriter(pipe.writer, on_empty=lambda: None, capacity=3)
    writer.start()
    started = time.monotonic()

    taken = [writer.put("x" * 50_000) for _ in range(20)]

    assert time.monotonic() - started < 0.5
    assert not taken[-1]
    writer.close(seconds=0.1)
    assert not writer.is_alive()


def test_a_terminal_that_is_gone_ends_the_writer(pipe: Pipe) -> None:
    writer = TerminalWriter(pipe.writer, on_empty=lambda: None)
    writer.start()
    os.close(pipe.reader)

    writer.put("x")
    writer.join(5)

    assert not writer.is_alive()
    assert writer.lost
    assert not writer.put("y")


# --- the driver ----------------------------------------------------------------------------


class FakeWriter:
    """Takes as many texts as there is room for."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken: list[str] = []

    def put(self, text: str) -> bool:
        if len(self.taken) >= self.room:
            return False
        self.taken.append(text)
        return True


class CountingApp(App[None]):
    refreshes = 0
    is_running = True

    def refresh(self, **_: object) -> CountingApp:
        self.refreshes += 1
        return self


@pytest.fixture
async def driver() -> NexusDriver:
    before = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    made = NexusDriver(CountingApp())
    for number, handler in before.items():
        signal.signal(number, handler)
    return made


async def test_a_synchronized_frame_is_queued_whole_or_not_at_all(driver: NexusDriver) -> None:
    writer = FakeWriter(room=1)
    driver._writer = writer  # type: ignore[assignment]

    for frame in ("first", "second"):
        for part in (SYNC_START, frame, SYNC_END):
            driver.write(part)

    assert writer.taken == [f"{SYNC_START}first{SYNC_END}"]
    assert driver.owes_repaint


async def test_after_a_drop_one_full_repaint_is_owed(driver: NexusDriver) -> None:
    writer = FakeWriter(room=1)
    driver._writer = writer  # type: ignore[assignment]
    app = driver._app
    assert isinstance(app, CountingApp)
    app.refreshes = 0

    for frame in ("a", "b", "c"):
        driver.write(frame)
    writer.room = 9
    driver.write("d")
    driver._pay_repaint()
    driver._pay_repaint()
    driver.write("e")

    assert writer.taken == ["a", "e"]  # a change of what was dropped would leave a torn screen
    assert app.refreshes == 1
    assert not driver.owes_repaint


# --- a real terminal -----------------------------------------------------------------------


class Child:
    """The dashboard on a pty, and its heartbeat."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.beats, writer = os.pipe()
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "tests.tui.pty_child", str(writer)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(writer,),
            cwd=Path(__file__).parents[3],
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,  # without the terminal as its own: no SIGHUP when it closes
        )
        os.close(slave)
        os.close(writer)

    def wait_for_beats(self, number: int, seconds: float = 20) -> str:
        """Read beats until there are so many; what else was said comes back."""
        seen, deadline = "", time.monotonic() + seconds
        while seen.count(".") < number:
            ready, _, _ = select.select([self.beats], [], [], deadline - time.monotonic())
            assert ready, f"the loop stood still after {seen.count('.')} beats"
            data = os.read(self.beats, 10_000)
            assert data, "the process ended"
            seen += data.decode()
        return seen

    def read_screen(self, until: bytes, seconds: float = 20) -> bytes:
        """Read the terminal until something has been written to it."""
        seen, deadline = b"", time.monotonic() + seconds
        while until not in seen:
            ready, _, _ = select.select([self.master], [], [], deadline - time.monotonic())
            assert ready, f"{until!r} did not come"
            try:
                seen += os.read(self.master, 100_000)
            except OSError:
                return seen
        return seen


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child()
    yield child
    child.process.kill()
    child.process.wait()
    for fd in (child.master, child.beats):
        with suppress(OSError):
            os.close(fd)


def test_the_loop_goes_on_when_nobody_reads_the_terminal(child: Child) -> None:
    child.wait_for_beats(300)

    child.process.send_signal(signal.SIGTERM)

    assert child.process.wait(10) == 0


def test_the_loop_goes_on_when_the_terminal_is_closed(child: Child) -> None:
    child.read_screen(b"NEXUS")

    os.close(child.master)

    seen = child.wait_for_beats(50)
    while "L" not in seen:
        seen += child.wait_for_beats(10)
    child.process.send_signal(signal.SIGTERM)
    assert child.process.wait(10) == 0


def test_quitting_restores_the_terminal(child: Child) -> None:
    child.read_screen(b"NEXUS")

    os.write(child.master, b"q")

    seen = child.read_screen(b"\x1b[?1004l")
    for restored in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l"):
        assert restored in seen
    assert child.process.wait(10) == 0
