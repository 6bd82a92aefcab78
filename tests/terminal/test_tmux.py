"""The dashboard in a real terminal: it shows itself, and leaves the terminal as it found it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.waiting import wait_until

pytestmark = [
    pytest.mark.terminal,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

COLUMNS, LINES = 120, 36
DEADLINE_SECONDS = 20
REQUEST_ROW = re.compile(r"\d\d:\d\d:\d\d .*\b200\b")
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")
DEMO = "-m nexus_tui.cli --demo --port 0"
# The dashboard as it is, but for one key that kills it.
CRASHING = """-c "
from nexus_tui.app import NexusApp
from tests.waiting import wait_until
from nexus_tui.cli import main
NexusApp.refresh_everything = lambda self: 1 / 0
raise SystemExit(main({arguments}))" """


class Pane:
    """One pane of a tmux server of our own, with the dashboard in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._socket = directory / "tmux"

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", os.devnull, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
        return done.stdout

    def start(self, program: str) -> None:
        """The shell stays after the command has ended, so that its terminal can be looked at."""
        home = shlex.quote(str(self.directory))
        clean = (
            f"env -i PATH={shlex.quote(os.environ['PATH'])} HOME={home} XDG_CONFIG_HOME={home} "
            f'XDG_DATA_HOME={home} XDG_STATE_HOME={home} LANG=C.UTF-8 TERM="$TERM"'
        )
        nexus = f"{shlex.quote(sys.executable)} {program}"
        script = f'cd {home}; {clean} {nexus}; echo "rc=$?"; exec cat'
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        self.tmux("new-session", "-d", *size, f"sh -c {shlex.quote(script)}")

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

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

    def port(self) -> int:
        found = ADDRESS.search(self.screen())
        assert found is not None, self.screen()
        return int(found[1])

    def wait_for(self, condition: Callable[[str], object], what: str) -> None:
        wait_until(
            lambda: bool(condition(self.screen())),
            DEADLINE_SECONDS,
            lambda: f"no {what} on the screen:\n{self.screen()}",
            every=0.05,
        )

    def shows(self, text: str) -> None:
        self.wait_for(lambda screen: text in screen, repr(text))


@pytest.fixture
def empty_pane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pane]:
    pane = Pane(tmp_path_factory.mktemp("pane"))
    try:
        yield pane
    finally:
        pane.tmux("kill-server")


@pytest.fixture
def pane(empty_pane: Pane) -> Pane:
    empty_pane.start(DEMO)
    empty_pane.shows("DEMO")
    empty_pane.wait_for(REQUEST_ROW.search, "request row")
    return empty_pane


def expect_a_clean_terminal(pane: Pane, code: int = 0) -> None:
    pane.shows("rc=")
    assert f"rc={code}" in pane.screen()
    assert "Traceback" not in pane.screen()
    assert pane.flags() == ("0", "0")


def quit_by_key(pane: Pane) -> None:
    """`q`, and enter where it asks what of the requests under way."""
    pane.keys("q")
    pane.wait_for(lambda screen: "Quit?" in screen or "rc=" in screen, "answer to q")
    if "Quit?" in pane.screen():
        pane.keys("Enter")


def test_keys_of_one_burst_reach_what_those_before_them_open(pane: Pane) -> None:
    pane.keys("?/panic")
    pane.wait_for(
        lambda screen: "Cut the open zone at once" in screen and "Redraw the screen" not in screen,
        "what the help says of panic",
    )

    pane.keys("Escape")
    pane.keys("Escape")
    pane.wait_for(lambda screen: "esc closes" not in screen, "end of the help")
    pane.keys("2so/zone:open", "Enter", ":theme nexus-light", "Enter")

    pane.shows("sorted by total")
    pane.shows("filter: zone:open")
    pane.shows("theme nexus-light")


def test_q_ends_the_dashboard_and_gives_the_terminal_back(pane: Pane) -> None:
    assert pane.flags() == ("1", "1")

    quit_by_key(pane)

    expect_a_clean_terminal(pane)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_dashboard_and_gives_the_terminal_back(
    pane: Pane, number: signal.Signals
) -> None:
    pane.keys("3", "K")  # in a dialog as well
    pane.shows("Cut gpu-box?")

    os.kill(pane.nexus_pid(), number)

    expect_a_clean_terminal(pane)


def test_ctrl_c_twice_ends_it(pane: Pane) -> None:
    pane.keys("C-c")
    pane.shows("ctrl+c again quits")
    pane.keys("C-c")

    expect_a_clean_terminal(pane)


def test_a_stream_under_way_at_q_ends_with_done(pane: Pane) -> None:
    body = {
        "model": "llama3.3:70b",
        "stream": True,
        "messages": [{"role": "user", "content": "Tell a long story. " * 20}],
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{pane.port()}", trust_env=False) as client:
        body["model"] = client.get("/v1/models").json()["data"][0]["id"]
        with client.stream("POST", "/v1/chat/completions", json=body, timeout=30) as answer:
            lines = answer.iter_lines()
            first = next(line for line in lines if line)
            quit_by_key(pane)
            rest = [line for line in lines if line]

    assert json.loads(first.removeprefix("data: "))["object"] == "chat.completion.chunk"
    assert rest[-1] == "data: [DONE]"
    expect_a_clean_terminal(pane)


def test_a_crash_of_the_screen_leaves_the_proxy_and_a_clean_terminal(empty_pane: Pane) -> None:
    pane = empty_pane
    pane.start(CRASHING.format(arguments="['--demo', '--port', '0']"))
    pane.wait_for(REQUEST_ROW.search, "request row")
    port = pane.port()

    pane.keys("C-l")

    pane.shows("ctrl+c to stop")
    assert pane.flags() == ("0", "0")
    assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    os.kill(pane.nexus_pid(), signal.SIGTERM)
    expect_a_clean_terminal(pane)


def test_a_crash_of_the_screen_may_be_the_end(empty_pane: Pane) -> None:
    pane = empty_pane
    (pane.directory / "nexus.toml").write_text('[tui]\non_crash = "exit"\n')
    pane.start(CRASHING.format(arguments="['--port', '0']"))
    pane.shows("without a usable backend")

    pane.keys("C-l")

    expect_a_clean_terminal(pane, code=1)
    assert "ended by an unexpected" in pane.screen()


def test_a_port_in_use_is_told_before_the_screen_is_touched(empty_pane: Pane) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        empty_pane.start(f"-m nexus_tui.cli --port {port}")

        expect_a_clean_terminal(empty_pane, code=2)
    assert f"127.0.0.1:{port} is in use" in empty_pane.screen()


def test_the_panic_switch_and_the_theme_work_in_a_real_terminal(pane: Pane) -> None:
    pane.keys("!")
    pane.shows("OPEN ZONE CUT")
    pane.keys("!")
    pane.shows("Open the open zone again?")
    pane.keys("y")
    pane.wait_for(lambda screen: "ZONE CUT" not in screen, "reopened zone")
    pane.keys("T")
    pane.shows("theme nexus-light")
