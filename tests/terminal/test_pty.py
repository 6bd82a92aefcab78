"""A terminal that reads nothing, or is gone, must not take the proxy with it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.terminal.pty_terminal import DEADLINE_SECONDS, Terminal

pytestmark = pytest.mark.terminal

ANSWERS_FOR_SECONDS = 3
_ADDRESS = re.compile(rb"127\.0\.0\.1:(\d+)")


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path_factory.mktemp("terminal"), "--demo", "--port", "0")
    yield terminal
    terminal.end()


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
