"""A gateway on a real terminal goes on serving unless somebody means to end it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.contract.nexus_process import backend_table, config_text
from tests.terminal.pty_terminal import CONTROL, DEADLINE_SECONDS, Terminal
from tests.waiting import wait_until

pytestmark = pytest.mark.terminal

NEXUS = f"{shlex.quote(sys.executable)} -m nexus_tui.cli"
READY = b"without a usable backend"  # on the dashboard of an empty configuration
_ADDRESS = re.compile(rb"127\.0\.0\.1:(\d+)")
Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `nexus` with the file `nexus.toml` on its controlling terminal."""
    started: list[Terminal] = []

    def begin(text: str, *arguments: str, **more: object) -> Terminal:
        whole = text if "[server]" in text else config_text(more=text)
        (tmp_path / "nexus.toml").write_text(whole, encoding="utf-8")
        terminal = Terminal(tmp_path, *arguments, is_controlling=True, **more)  # type: ignore[arg-type]
        started.append(terminal)
        return terminal

    yield begin
    for terminal in started:
        terminal.end()


def port_in(drawn: bytes) -> int:
    found = _ADDRESS.search(drawn)
    assert found is not None, drawn
    return int(found[1])


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code in (
            200,
            503,
        )
    except httpx.TransportError:
        return False


def expect_the_end(terminal: Terminal) -> None:
    assert terminal.process.wait(DEADLINE_SECONDS) == 0


def expect_an_alias_after_hup(terminal: Terminal, tmp_path: Path, port: int) -> None:
    """SIGHUP reads the file again, and the process goes on."""
    file = tmp_path / "nexus.toml"
    backend = backend_table("a", "http://127.0.0.1:9", ["m"])
    file.write_text(config_text(backend, more=file.read_text().split("\n\n")[-1]))
    terminal.process.send_signal(signal.SIGHUP)

    def has_model() -> bool:
        models = httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False).json()["data"]
        return [model["id"] for model in models] == ["m"]

    wait_until(has_model, DEADLINE_SECONDS)


# SIGHUP -------------------------------------------------------------------------------------------


def test_hup_reloads_under_the_dashboard_and_says_so(start: Start, tmp_path: Path) -> None:
    terminal = start("", "--port", "0")
    port = port_in(terminal.read_until_it_shows(READY))

    expect_an_alias_after_hup(terminal, tmp_path, port)

    terminal.read_until_it_shows(b"SIGHUP: ")
    assert terminal.process.poll() is None
    terminal.process.send_signal(signal.SIGTERM)
    terminal.read_to_the_end()
    expect_the_end(terminal)


def test_hup_with_a_broken_file_changes_nothing_and_names_the_line(
    start: Start, tmp_path: Path
) -> None:
    terminal = start("", "--port", "0")
    port = port_in(terminal.read_until_it_shows(READY))
    (tmp_path / "nexus.toml").write_text('[server]\nhost = "127.0.0.1\n')

    terminal.process.send_signal(signal.SIGHUP)

    terminal.read_until_it_shows(b"SIGHUP: config not reloaded: ")
    assert answers(port)


def test_a_closed_terminal_ends_the_dashboard_and_its_gateway(start: Start) -> None:
    terminal = start("", "--port", "0")
    terminal.read_until_it_shows(READY)

    terminal.close()

    expect_the_end(terminal)


def test_a_closed_terminal_may_leave_the_gateway_serving(start: Start, tmp_path: Path) -> None:
    terminal = start('[tui]\non_hangup = "serve"\n', "--port", "0")
    port = port_in(terminal.read_until_it_shows(READY))

    terminal.close()

    wait_until(lambda: answers(port), DEADLINE_SECONDS)
    terminal.process.send_signal(signal.SIGTERM)
    expect_the_end(terminal)


@pytest.mark.parametrize("program", [("nohup",), ()])
def test_headless_a_closed_terminal_ends_it_but_for_nohup(
    start: Start, tmp_path: Path, program: tuple[str, ...]
) -> None:
    log = tmp_path / "log"
    command = (*program, sys.executable, "-m", "nexus_tui.cli")
    with log.open("wb") as file:
        streams = {"stdout": file.fileno(), "stderr": file.fileno()}
        terminal = start("", "--no-ui", "--port", "0", program=command, streams=streams)
    wait_until(lambda: b"listening on" in log.read_bytes(), DEADLINE_SECONDS)
    port = port_in(log.read_bytes())
    expect_an_alias_after_hup(terminal, tmp_path, port)

    terminal.close()

    if program:
        wait_until(lambda: b"terminal closed; serving on" in log.read_bytes(), DEADLINE_SECONDS)
        assert answers(port)
        terminal.process.send_signal(signal.SIGTERM)
    expect_the_end(terminal)


# Jobs and pipes -----------------------------------------------------------------------------------


@pytest.fixture
def job(start: Start) -> Iterator[tuple[Terminal, int]]:
    """An interactive shell with `nexus &`, and the pid of that job."""
    shell = start("", program=("bash", "--norc", "--noprofile", "-i"))
    shell.type(f"exec 2>&1; {NEXUS} --port 0 & echo job=$!=\r".encode())
    shown = CONTROL.sub(b"", shell.read_until_it_shows(b"[1]"))
    while (found := re.search(rb"job=(\d+)=", shown)) is None:
        shown += shell.bytes_within(0.1)
    yield shell, int(found[1])
    with suppress(ProcessLookupError):
        os.kill(int(found[1]), signal.SIGKILL)


def test_a_job_in_the_background_serves_headless(job: tuple[Terminal, int]) -> None:
    shell, pid = job

    shown = shell.read_until_it_shows(b"no backend is configured")
    shell.type(b"jobs -l\r")
    listed = shell.read_until_it_shows(b"Running")

    assert b"in the background, running headless; nexus attach shows the dashboard" in shown
    assert str(pid).encode() in listed
    assert answers(port_in(shown))
    shell.close()  # the shell tells its jobs
    wait_until(lambda: not answers(port_in(shown)), DEADLINE_SECONDS)


def test_a_dumb_terminal_is_told_of_the_plain_commands(start: Start) -> None:
    terminal = start("", "--port", "0", environ={"TERM": "dumb"})

    shown = terminal.read_until_it_shows(b"listening on")

    assert b"TERM=dumb, running headless; plain text: nexus status, backends" in shown
    terminal.type(b"\x03")
    terminal.read_to_the_end()
    expect_the_end(terminal)


def test_with_stdout_in_a_pipe_it_is_drawn_over_the_whole_terminal(start: Start) -> None:
    reading, writing = os.pipe()
    terminal = start("", "--port", "0", streams={"stdout": writing})
    os.close(writing)
    try:
        shown = terminal.read_until_it_shows(READY)
        lines = [line.rstrip(b"\r") for line in CONTROL.sub(b"\n", shown).split(b"\n")]

        assert 120 in {len(line.decode("utf-8")) for line in lines}
    finally:
        os.close(reading)


# Leaving the screen -------------------------------------------------------------------------------


class Upstream:
    """A backend with one stream, whose second part comes when it is told to."""

    HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE_SECONDS)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._client: socket.socket | None = None

    def part(self, text: str) -> bytes:
        choice = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}'
        return (
            f'data: {{"id":"1","object":"chat.completion.chunk","choices":[{choice}]}}\n\n'.encode()
        )

    def begin(self) -> None:
        while True:
            self._client, _ = self._listener.accept()
            if b"/chat/completions" in self._client.recv(65536):
                break
            self._client.close()  # looks at the models
        self._client.sendall(self.HEAD + self.part("first"))

    def finish(self) -> None:
        assert self._client is not None
        self._client.sendall(self.part("second") + b"data: [DONE]\n\n")
        self._client.close()

    def close(self) -> None:
        self._listener.close()
        if self._client is not None:
            self._client.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


def ask(port: int) -> socket.socket:
    """Ask for a stream; the socket to read it from."""
    client = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
    body = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(f"{head}{more}".encode() + body)
    return client


def read_until(client: socket.socket, mark: bytes) -> bytes:
    seen = b""
    while mark not in seen:
        part = client.recv(65536)
        assert part, seen
        seen += part
    return seen


def test_leaving_the_screen_serves_on_and_no_client_notices(
    start: Start, upstream: Upstream
) -> None:
    backend = backend_table("a", upstream.url, ["m"])
    terminal = start(backend, "--port", "0")
    port = port_in(terminal.read_until_it_shows(b"q quit"))
    with ask(port) as client:
        upstream.begin()
        seen = read_until(client, b"first")
        terminal.type(b"q")
        terminal.read_until_it_shows(b"1 request under way")

        terminal.type(b"\r")

        left = terminal.read_until_it_shows(b"nexus attach http://127.0.0.1:")
        upstream.finish()
        seen += read_until(client, b"[DONE]")

    pid = terminal.process.pid
    serving = f"serving on at http://127.0.0.1:{port} without the dashboard (pid {pid})"
    assert f"{serving}; ctrl+c to stop".encode() in left
    assert b"second" in seen
    assert answers(port)
    terminal.read_until_it_shows(b"finished status=200")  # logs as it does without a dashboard

    terminal.type(b"\x03")
    rest = terminal.read_to_the_end()
    expect_the_end(terminal)
    assert b"\x1b[?1049h" not in rest
    assert b"Traceback" not in rest


def test_a_stop_that_takes_too_long_says_what_became_of_the_requests(
    start: Start, upstream: Upstream
) -> None:
    backend = backend_table("a", upstream.url, ["m"])
    terminal = start(f"[server]\nshutdown_grace_seconds = 1\n{backend}", "--port", "0")
    port = port_in(terminal.read_until_it_shows(b"q quit"))
    with ask(port) as client:
        upstream.begin()
        read_until(client, b"first")
        terminal.type(b"q")
        terminal.read_until_it_shows(b"1 request under way")

        terminal.type(b"d")

        rest = CONTROL.sub(b"", terminal.read_to_the_end())

    expect_the_end(terminal)
    assert "draining 1 …; ctrl+c to stop now".encode() in rest
    assert b"shutdown_grace_seconds are over; ending 1 requests" in rest
    assert b"serving on" not in rest


def test_a_screen_that_was_left_gives_the_terminal_back(start: Start) -> None:
    terminal = start('[tui]\nquit = "leave"\n', "--port", "0")
    terminal.read_until_it_shows(READY)

    terminal.type(b"q")

    drawn = b""
    while b"nexus attach" not in drawn:
        drawn += terminal.bytes_within(0.1)
    for restored in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l"):
        assert restored in drawn
    terminal.type(b"\x03")
    terminal.read_to_the_end()
    expect_the_end(terminal)


def test_the_demo_takes_the_looks_and_answers_of_the_file(start: Start) -> None:
    terminal = start('[tui]\nquit = "leave"\nascii = true\n', "--demo", "--port", "0")
    shown = terminal.read_until_it_shows(b"-- Live --")

    terminal.type(b"q")

    port = port_in(terminal.read_until_it_shows(b"nexus attach http://127.0.0.1:"))
    assert "──".encode() not in shown
    assert answers(port)
    terminal.process.send_signal(signal.SIGTERM)
    terminal.read_to_the_end()
    expect_the_end(terminal)


def test_after_leaving_a_closed_terminal_is_the_end_as_before(start: Start) -> None:
    terminal = start('[tui]\nquit = "leave"\n', "--port", "0")
    terminal.read_until_it_shows(READY)
    terminal.type(b"q")
    terminal.read_until_it_shows(b"nexus attach")

    terminal.close()

    expect_the_end(terminal)
