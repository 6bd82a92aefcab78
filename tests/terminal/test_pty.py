"""A terminal that reads nothing, or is gone, must not take the proxy with it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.terminal

DEADLINE_SECONDS = 20
ANSWERS_FOR_SECONDS = 3
_CONTROL = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[a-zA-Z]|[()][A-Z0-9]|[=>])")
_ADDRESS = re.compile(rb"127\.0\.0\.1:(\d+)")


class Terminal:
    """A pty with the dashboard on it. It is not the controlling terminal: no SIGHUP comes."""

    def __init__(
        self, directory: Path, program: tuple[str, ...] = ("-m", "nexus_tui.cli", "--demo")
    ) -> None:
        self._master, slave = pty.openpty()
        self.resize(36, 120)
        home = str(directory)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_DATA_HOME": home,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
        }
        try:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, *program, "--port", "0"],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(slave)

    def read_until_it_shows(self, mark: bytes) -> bytes:
        """Everything that was drawn so far, without control sequences."""
        drawn = b""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while mark not in (shown := _CONTROL.sub(b"", drawn)):
            assert time.monotonic() < deadline, f"no {mark!r} on the screen: {shown!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                drawn += os.read(self._master, 65536)
        return shown

    def bytes_within(self, seconds: float) -> bytes:
        """What is drawn meanwhile."""
        drawn = b""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                drawn += os.read(self._master, 65536)
        return drawn

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def close(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path_factory.mktemp("terminal"))
    try:
        yield terminal
    finally:
        terminal.close()
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait()


def expect_answers(port: int, terminal: Terminal, *, resizing: bool) -> None:
    """Answers for some seconds, while the dashboard has more to draw than anyone reads."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=2, trust_env=False) as client:
        end = time.monotonic() + ANSWERS_FOR_SECONDS
        lines = 36
        while time.monotonic() < end:
            if resizing:
                lines = 76 - lines
                terminal.resize(lines, 120)
                terminal.process.send_signal(signal.SIGWINCH)
            assert client.get("/health").status_code == 200
            assert client.get("/v1/stats").status_code == 200
            time.sleep(0.05)


def expect_the_end(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(timeout=DEADLINE_SECONDS) == 0


def port_shown(terminal: Terminal) -> int:
    shown = terminal.read_until_it_shows(b"DEMO")
    found = _ADDRESS.search(shown)
    assert found is not None, shown
    return int(found.group(1))


def test_a_terminal_that_reads_nothing_leaves_the_proxy_answering(terminal: Terminal) -> None:
    port = port_shown(terminal)

    expect_answers(port, terminal, resizing=True)

    expect_the_end(terminal)


def test_a_terminal_that_is_gone_leaves_the_proxy_answering(terminal: Terminal) -> None:
    port = port_shown(terminal)

    terminal.close()

    expect_answers(port, terminal, resizing=False)
    expect_the_end(terminal)


# Prints to the log as a library in trouble does, a while after the screen is up.
_LOGGING = """
import asyncio, logging, sys
from nexus_tui import cli, run

async def complain():
    await asyncio.sleep(4)
    try:
        raise ValueError("lost [/] \x1b[2J a\\nb")
    except ValueError:
        logging.getLogger("some.library").exception("it broke")

real = run.run_dashboard
async def with_complaint(*args, **kwargs):
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(complain())
        await real(*args, **kwargs)
        task.cancel()
run.run_dashboard = with_complaint
raise SystemExit(cli.main(sys.argv[1:]))
"""


@pytest.fixture
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """The dashboard with nothing to do: no backend, no traffic."""
    terminal = Terminal(tmp_path_factory.mktemp("quiet"), ("-c", _LOGGING))
    try:
        yield terminal
    finally:
        terminal.close()
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait()


def test_an_idle_screen_sends_nothing_and_a_log_line_only_the_last_line(quiet: Terminal) -> None:
    quiet.read_until_it_shows(b"has no backend")
    quiet.bytes_within(1.5)  # the first rounds are over

    # The uptime grows once a minute: one of these seconds may have that one change.
    idle = [len(quiet.bytes_within(0.5)) for _ in range(2)]
    assert min(idle) == 0
    assert sum(idle) < 200

    shown = _CONTROL.sub(b"", quiet.read_until_it_shows(b"it broke"))
    assert b"ERROR some.library: it broke" in shown
    assert b"Traceback (most recent call last)" not in shown.replace(b"\\x0aTraceback", b"")
    assert b"\x1b[2J" not in shown
    expect_the_end(quiet)


def test_a_storm_of_resizes_stalls_nothing(terminal: Terminal) -> None:
    port = port_shown(terminal)
    stalls = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5, trust_env=False) as client:
        for number in range(100):
            terminal.resize(20 + number % 30, 70 + number % 60)
            terminal.process.send_signal(signal.SIGWINCH)
            begun = time.monotonic()
            assert client.get("/health").status_code == 200
            stalls.append(time.monotonic() - begun)
            terminal.bytes_within(0.01)

    assert sorted(stalls)[-3] < 0.25  # the tests' own machine stalls now and then
    expect_the_end(terminal)
