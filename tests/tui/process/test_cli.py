"""The real `nexus` command: what it says, exit codes, signals, and what it never imports."""

from __future__ import annotations

import http.server
import json
import os
import queue
import re
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nexus_core import __version__
from nexus_tui import cli
from tests.contract.nexus_process import clean_environment
from tests.forked import COMMAND, SECONDS
from tests.forked import start as start_command

BACKEND = '[[backends]]\nname = "a"\nurl = "http://127.0.0.1:9"\ntype = "vllm"\nmodels = ["m"]\n'
OFFLINE = "[health_check]\nenabled = false\n"


def run(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = start_command(
            arguments,
            cwd=directory,
            env=clean_environment(directory, **environ),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
        )
        try:
            code = process.wait(SECONDS)
        finally:
            process.kill()
        for stream in (stdout, stderr):
            stream.seek(0)
        shown, said = stdout.read().decode(), stderr.read().decode()
    return subprocess.CompletedProcess(arguments, code, shown, said)


class Running:
    """A headless Nexus whose stderr is read line by line."""

    def __init__(self, directory: Path, *arguments: str, **environ: str) -> None:
        reading, writing = os.pipe()
        self.process = start_command(
            ["--port", "0", *arguments],
            cwd=directory,
            env=clean_environment(directory, **environ),
            stdout=writing,
            stderr=writing,
        )
        os.close(writing)
        self._stderr = os.fdopen(reading, encoding="utf-8")
        self.seen: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._stderr as stderr:
            for line in stderr:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self, pattern: str) -> str:
        """The first line that matches, waiting for it."""
        while (line := self._lines.get(timeout=SECONDS)) is not None:
            self.seen.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no {pattern!r} in {self.seen}")

    def url(self) -> str:
        return self.line("listening on http").rpartition(" ")[2]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def begin(text: str, *arguments: str, **environ: str) -> Running:
        (tmp_path / "nexus.toml").write_text(text, encoding="utf-8")
        started.append(Running(tmp_path, *arguments, **environ))
        return started[-1]

    yield begin
    for running in started:
        running.process.kill()
        running.process.wait(SECONDS)


def expect_a_refusal(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


# Before anything listens


def test_version_and_help_answer(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").stdout == f"nexus {__version__}\n"
    assert "--no-ui" in run(tmp_path, "--help").stdout


def test_a_config_file_that_is_missing_is_named(tmp_path: Path) -> None:
    lines = expect_a_refusal(run(tmp_path, "--no-ui", "--config", "gone.toml"))

    assert lines == ["gone.toml: no such file; set by --config"]


def test_bad_toml_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text("[server\n")

    lines = expect_a_refusal(run(tmp_path, "--no-ui"))

    assert lines == [
        "nexus.toml:1:8: Expected ']' at the end of a table declaration",
        "  [server",
        "         ^",
    ]


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = BACKEND + 'zone = "private"\n[server]\nprot = 1\n'
    (tmp_path / "nexus.toml").write_text(text)

    done = run(tmp_path, "--no-ui", "--log-format", "xml", NEXUS_PORT="x", NEXUS_LOG_LEVEL="loud")

    assert expect_a_refusal(done) == [
        "NEXUS_LOG_LEVEL: is not one of debug, info, warning, error",
        "--log-format: is not one of pretty, json",
        'nexus.toml:6: backends[0].zone: "private" is not one of restricted, open',
        '  zone = "private"',
        "         ^",
        'nexus.toml:8: server.prot: unknown key; did you mean "port"?',
        "  prot = 1",
        "  ^",
        'NEXUS_PORT: "x" is not a port between 0 and 65535',
    ]


def test_other_machines_need_a_key(tmp_path: Path) -> None:
    (line,) = expect_a_refusal(run(tmp_path, "--no-ui", "--host", "0.0.0.0"))  # noqa: S104

    assert "NEXUS_API_KEYS" in line


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--demon"], ["--no"]])
def test_options_that_are_none_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    assert expect_a_refusal(run(tmp_path, *arguments))


# The address


def test_a_port_in_use_is_told_with_the_mend(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        lines = expect_a_refusal(run(tmp_path, "--no-ui", "--port", str(port)))

    mend = "choose another with --port, or stop that server"
    assert lines == [f"nexus: 127.0.0.1:{port} is in use; {mend}"]


def test_another_nexus_on_the_port_is_recognised(tmp_path: Path, start: Start) -> None:
    running = start(OFFLINE, "--no-ui")
    port = running.url().rpartition(":")[2]

    (line,) = expect_a_refusal(run(tmp_path, "--no-ui", "--port", port))

    found = re.fullmatch(
        rf"nexus: 127\.0\.0\.1:{port} is in use by another Nexus \({re.escape(__version__)}, "
        rf"pid {running.process.pid}\)\. "
        rf"Attach: nexus attach http://127\.0\.0\.1:{port}  or  --port (\d+)",
        line,
    )
    assert found is not None
    assert int(found[1]) > int(port)


class Rubbish(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[" * 50_000)

    def log_message(self, *_: object) -> None:
        pass


def test_a_stranger_on_the_port_is_not_taken_for_nexus(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rubbish) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        port = str(stranger.server_port)
        (line,) = expect_a_refusal(run(tmp_path, "--no-ui", "--port", port))
        stranger.shutdown()

    assert " is in use by a server other than Nexus; choose another with --port" in line


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "--no-ui", "--host", "192.0.2.1", NEXUS_API_KEYS="k")

    (line,) = expect_a_refusal(done)
    assert "192.0.2.1:8000 is not an address of this machine" in line


# Running


def test_headless_says_where_it_listens_and_what_it_leaves_out(start: Start) -> None:
    cloud = '[[backends]]\nname = "c"\nurl = "https://h"\ntype = "openai"\napi_key_env = "C_KEY"\n'
    nexus = start(OFFLINE + BACKEND + cloud, "--no-ui")

    url = nexus.url()
    nexus.line(r"^nexus: config .*/nexus\.toml$")
    nexus.line('^nexus: backend "c": C_KEY is not set; export it or remove the backend$')
    with urllib.request.urlopen(f"{url}/health") as answer:  # noqa: S310 - ours
        health = json.load(answer)

    assert health["backends"]["total"] == 1
    assert nexus.end() == 0


def test_headless_says_where_it_looked_for_a_config(tmp_path: Path) -> None:
    nexus = Running(tmp_path, "--no-ui")

    line = nexus.line("no config file found")

    assert f"{tmp_path}/nexus.toml" in line
    assert nexus.end(signal.SIGINT) == 0


def test_without_a_config_it_looks_for_servers_and_offers_keys_without_using_them(
    tmp_path: Path,
) -> None:
    keys = {"OPENAI_API_KEY": "sk-secret", "AZURE_OPENAI_API_KEY": "sk-secret"}
    nexus = Running(tmp_path, "--no-ui", **keys)

    url = nexus.url()
    nexus.line(r"looking for local servers \(Ollama 11434, LM Studio 1234, vLLM 8000, ")
    nexus.line(" OPENAI_API_KEY is set but not used; --cloud uses it")
    nexus.line(
        "AZURE_OPENAI_API_KEY is set but not used; Azure OpenAI needs its url in a config file"
    )
    with urllib.request.urlopen(f"{url}/nexus/state") as answer:  # noqa: S310 - ours
        state = json.load(answer)

    assert "openai" not in [backend["name"] for backend in state["backends"]]
    assert nexus.end() == 0
    assert not any("sk-secret" in line for line in nexus.seen)


def test_without_a_terminal_it_runs_headless_and_says_so(start: Start) -> None:
    nexus = start(OFFLINE)

    nexus.url()

    assert nexus.seen[0] == "nexus: no terminal, running headless"
    assert nexus.end() == 0


def test_sighup_reads_the_configuration_again_without_a_screen(start: Start) -> None:
    nexus = start(OFFLINE + BACKEND, "--no-ui")
    url = nexus.url()
    file = Path(nexus.line(r"^nexus: config (.*/nexus\.toml)$").removeprefix("nexus: config "))
    file.write_text(file.read_text() + '[routing.aliases]\n"gpt" = "m"\n')

    nexus.process.send_signal(signal.SIGHUP)

    nexus.line("config reloaded from")
    with urllib.request.urlopen(f"{url}/v1/models") as answer:  # noqa: S310 - ours
        assert "gpt" in [model["id"] for model in json.load(answer)["data"]]
    assert nexus.end() == 0


def test_sighup_with_a_refused_file_changes_nothing(start: Start) -> None:
    nexus = start(OFFLINE + BACKEND, "--no-ui")
    nexus.url()
    file = Path(nexus.line(r"^nexus: config (.*/nexus\.toml)$").removeprefix("nexus: config "))
    file.write_text("[nonsense]\n")

    nexus.process.send_signal(signal.SIGHUP)

    nexus.line("SIGHUP reloaded the config: FAILED, .*nexus.toml:1: nonsense: unknown key")
    assert nexus.end() == 0


def test_a_closed_stderr_does_not_change_the_exit_code(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    arguments = [*COMMAND, "--no-ui", "--port", "0"]
    environ = clean_environment(tmp_path)
    process = subprocess.Popen(arguments, cwd=tmp_path, env=environ, stderr=writing)  # noqa: S603
    os.close(writing)
    with os.fdopen(reading) as stderr:
        assert "listening" in stderr.readline()

    process.send_signal(signal.SIGHUP)  # is told on stderr, where nobody listens any more
    process.send_signal(signal.SIGTERM)

    assert process.wait(SECONDS) == 0


def test_json_logs_are_all_that_stderr_says(start: Start) -> None:
    nexus = start(OFFLINE + BACKEND, "--no-ui", NEXUS_LOG_FORMAT="json")
    nexus.line("listening on http")

    nexus.end()
    while (line := nexus._lines.get(timeout=SECONDS)) is not None:
        nexus.seen.append(line)

    assert {"time", "level", "logger", "message"} <= set(json.loads(nexus.seen[0]))
    assert all(json.loads(line) for line in nexus.seen)


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        text = OFFLINE + "[server]\nshutdown_grace_seconds = 60\n" + BACKEND.replace("9", str(port))
        nexus = start(text, "--no-ui")
        address = nexus.url().removeprefix("http://").split(":")
        body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
        with socket.create_connection((address[0], int(address[1]))) as client:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {':'.join(address)}\r\n"
            more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + more.encode() + body)
            silent.settimeout(SECONDS)
            upstream, _ = silent.accept()

            nexus.process.send_signal(signal.SIGTERM)
            nexus.line("^nexus: draining 1 …; ctrl\\+c to stop now$")
            code = nexus.end(signal.SIGTERM)
            upstream.close()

    assert code == 128 + signal.SIGTERM
    assert not any("Traceback" in line for line in nexus.seen)


def test_ctrl_c_before_the_command_is_read_ends_it_without_a_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_options", interrupted)

    assert cli.main(["--no-ui"]) == 130


def test_attach_without_a_terminal_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "attach", "http://127.0.0.1:9")

    assert done.returncode == 2
    assert done.stderr.startswith("nexus: attach: no terminal")


@pytest.mark.parametrize(
    "url", ["127.0.0.1", "ftp://x", "http://", "http://u:p@x", "http://x?y", "u:p@x:80"]
)
def test_attach_takes_a_url_without_secrets(tmp_path: Path, url: str) -> None:
    done = run(tmp_path, "attach", url)

    assert done.returncode == 2
    assert "must be HOST:PORT or a URL such as http://127.0.0.1:8000" in done.stderr
    assert "u:p@x" not in done.stderr


def test_no_ui_before_a_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--no-ui", "run", "claude"])

    assert ended.value.code == 2
    assert (
        "--no-ui starts a Nexus and means nothing to run; leave it out" in capsys.readouterr().err
    )
