"""A terminal that reads nothing, or is gone, must not take the proxy with it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.terminal.pty_terminal import CONTROL, DEADLINE_SECONDS, Terminal

pytestmark = pytest.mark.terminal

ROUNDS = 100
_ADDRESS = re.compile(rb"127\.0\.0\.1:(\d+)")


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path_factory.mktemp("terminal"), "--demo", "--port", "0")
    yield terminal
    terminal.end()


def expect_answers(port: int, terminal: Terminal, *, resizing: bool) -> None:
    """It answers all the time, while the dashboard has more to draw than anyone reads."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=2, trust_env=False) as client:
        lines = 36
        for _ in range(ROUNDS):
            if resizing:
                lines = 76 - lines
                terminal.resize(lines, 120)
                terminal.process.send_signal(signal.SIGWINCH)
            assert client.get("/health").status_code == 200
            assert client.get("/v1/stats").status_code == 200


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


# Prints to the log as a library in trouble does, once SIGUSR1 asks for it.
_LOGGING = """
import asyncio, logging, signal, sys
from nexus_tui import cli
from nexus_tui.process import dashboard as run

async def complain():
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, asked.set)
    await asked.wait()
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
    terminal = Terminal(tmp_path_factory.mktemp("quiet"), "--port", "0", program=("-c", _LOGGING))
    yield terminal
    terminal.end()


def test_an_idle_screen_sends_nothing_and_a_log_line_only_the_last_line(quiet: Terminal) -> None:
    quiet.read_until_it_shows(b"without a usable backend")
    quiet.read_until_still(0.5)  # the first rounds are over

    # The uptime grows once a minute: one of these seconds may have that one change.
    idle = [len(quiet.bytes_within(0.5)) for _ in range(2)]
    assert min(idle) == 0
    assert sum(idle) < 200

    quiet.process.send_signal(signal.SIGUSR1)
    shown = CONTROL.sub(b"", quiet.read_until_it_shows(b"it broke: ValueError: lost [/]"))
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
            terminal.read_what_is_there()

    assert sorted(stalls)[-3] < 0.25  # the tests' own machine stalls now and then
    expect_the_end(terminal)
