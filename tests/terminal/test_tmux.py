"""The dashboard in a real terminal: it shows itself, and leaves the terminal as it found it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

COLUMNS, LINES = 120, 36
DEADLINE_SECONDS = 20
REQUEST_ROW = re.compile(r"\d\d:\d\d:\d\d .*\b200\b")


class Pane:
    """One pane of a tmux server of our own, with the dashboard in it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "tmux"

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", os.devnull, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
        return done.stdout

    def start(self) -> None:
        """The shell stays after the command has ended, so that its terminal can be looked at."""
        home = shlex.quote(str(self._directory))
        clean = (
            f"env -i PATH={shlex.quote(os.environ['PATH'])} HOME={home} XDG_CONFIG_HOME={home} "
            f'XDG_DATA_HOME={home} LANG=C.UTF-8 TERM="$TERM"'
        )
        nexus = f"{shlex.quote(sys.executable)} -m nexus_tui.cli --demo --port 0"
        script = f'cd {home}; {clean} {nexus}; echo "rc=$?"; exec cat'
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        self.tmux("new-session", "-d", *size, f"sh -c {shlex.quote(script)}")

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def flags(self) -> tuple[str, str]:
        """Whether the alternate screen and the mouse are on."""
        shown = self.tmux("display-message", "-p", "#{alternate_on} #{mouse_any_flag}")
        alternate, mouse = shown.split()
        return alternate, mouse

    def nexus_pid(self) -> int:
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        listed = subprocess.run(  # noqa: S603
            ["pgrep", "-P", shell],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return int(listed.stdout.split()[0])

    def wait_for(self, condition: Callable[[str], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition(screen := self.screen()):
            assert time.monotonic() < deadline, f"no {what} on the screen:\n{screen}"
            time.sleep(0.05)


@pytest.fixture
def pane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pane]:
    pane = Pane(tmp_path_factory.mktemp("pane"))
    pane.start()
    try:
        pane.wait_for(lambda screen: "DEMO" in screen, "DEMO")
        pane.wait_for(REQUEST_ROW.search, "request row")
        yield pane
    finally:
        pane.tmux("kill-server")


def expect_a_clean_terminal(pane: Pane) -> None:
    pane.wait_for(lambda screen: "rc=" in screen, "exit code")
    assert "rc=0" in pane.screen()
    assert "Traceback" not in pane.screen()
    assert pane.flags() == ("0", "0")


def test_q_ends_the_dashboard_and_gives_the_terminal_back(pane: Pane) -> None:
    assert pane.flags()[0] == "1"

    pane.tmux("send-keys", "q")

    expect_a_clean_terminal(pane)


def test_sigterm_ends_the_dashboard_and_gives_the_terminal_back(pane: Pane) -> None:
    assert pane.flags()[0] == "1"

    os.kill(pane.nexus_pid(), signal.SIGTERM)

    expect_a_clean_terminal(pane)
