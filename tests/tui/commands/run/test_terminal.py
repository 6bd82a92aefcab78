"""A program's signals, stops and exit code are as if it ran alone."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from nexus_tui.commands.run.terminal import run_program
from tests.terminal.pty_terminal import Terminal
from tests.waiting import wait_until

# Runs the program that its arguments say.
RUN = (
    "import os, sys; from nexus_tui.commands.run.terminal import run_program; "
    "code = run_program(sys.argv[1:], os.environ); print('CODE', code, flush=True); sys.exit(code)"
)
# Says what it gets, and goes on.
HEARS = """
import signal, sys, os
def told(number, _):
    os.write(1, f"HEARD {signal.Signals(number).name}\\n".encode())
    if number == signal.SIGTERM:
        os._exit(7)
def stop(_, __):
    os.kill(os.getpid(), signal.SIGSTOP)
signal.signal(signal.SIGUSR1, stop)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, told)
os.write(1, b"READY\\n")
while True:
    signal.pause()
"""


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 15)", 143),
        ("import os; os.kill(os.getpid(), 9)", 137),
    ],
)
def test_the_exit_code_is_the_programs(code: str, shown: int) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    assert run_program([sys.executable, "-c", code], os.environ) == shown

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_is_no_program_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no program")
    path.chmod(0o700)

    with pytest.raises(OSError, match="Exec format error"):
        run_program([str(path)], os.environ)


def started(tmp_path: Path, *words: str) -> Terminal:
    return Terminal(tmp_path, *words, program=("-c", RUN), is_controlling=True)


def test_ctrl_c_is_the_programs(tmp_path: Path) -> None:
    terminal = started(tmp_path, sys.executable, "-c", HEARS)
    try:
        terminal.read_until_it_shows(b"READY")
        terminal.type(b"\x03")
        terminal.read_until_it_shows(b"HEARD SIGINT")
        assert terminal.process.poll() is None

        terminal.process.send_signal(signal.SIGTERM)
        shown = terminal.read_until_it_shows(b"CODE 7")

        assert b"HEARD SIGTERM" in shown
        assert terminal.process.wait(timeout=20) == 7
    finally:
        terminal.end()


def test_a_hang_up_is_passed_on(tmp_path: Path) -> None:
    terminal = started(tmp_path, sys.executable, "-c", HEARS)
    try:
        terminal.read_until_it_shows(b"READY")
        terminal.process.send_signal(signal.SIGHUP)

        terminal.read_until_it_shows(b"HEARD SIGHUP")
    finally:
        terminal.process.send_signal(signal.SIGTERM)
        terminal.end()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state is read from /proc")
def test_while_the_program_is_stopped_so_is_its_parent(tmp_path: Path) -> None:
    terminal = started(tmp_path, sys.executable, "-c", HEARS)
    try:
        terminal.read_until_it_shows(b"READY")
        pid = terminal.process.pid
        terminal.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: state(pid) == "T")

        os.killpg(pid, signal.SIGCONT)
        wait_until(lambda: state(pid) == "S")
        terminal.process.send_signal(signal.SIGHUP)
        terminal.read_until_it_shows(b"HEARD SIGHUP")
    finally:
        terminal.process.send_signal(signal.SIGTERM)
        terminal.end()


def state(pid: int) -> str:
    """T: stopped; S: it waits."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
