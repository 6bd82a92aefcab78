"""The Nexus beside a program: the one that runs, or one that ends with the last that uses it."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.contract.nexus_process import backend_table, clean_environment, config_text
from tests.tui.commands.serving import fake_nexus
from tests.tui.process.test_cli import run
from tests.waiting import wait_until

SHOW = 'echo "BASE $OPENAI_BASE_URL"'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "test.toml"
    path.write_text(config_text(backend_table("local", "http://127.0.0.1:9", ["m"])))
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def started(folder: Path, config: Path, port: int) -> subprocess.Popen[bytes]:
    """`nexus run` with a program that says READY, and waits for its stdin to be closed."""
    return subprocess.Popen(  # noqa: S603 - ours
        [
            *(sys.executable, "-m", "nexus_tui.cli", "run", "--config", str(config)),
            *("--port", str(port), "--", "sh", "-c", "echo READY; exec cat"),
        ],
        cwd=folder,
        env=clean_environment(folder, TMPDIR=str(folder)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def running(folder: Path, config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`nexus run`, whose program runs."""
    process = started(folder, config, port)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"READY\n"
        assert answers(port)
        yield process
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def test_one_is_started_and_ends_with_the_program(tmp_path: Path, config: Path) -> None:
    port = free_port()

    done = run(
        tmp_path, "run", "--config", str(config), "--port", str(port), "--", "sh", "-c", SHOW
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"BASE http://127.0.0.1:{port}/v1\n"
    log = tmp_path / ".local/state/nexus/log" / f"run-{port}.log"
    assert f"nexus attach http://127.0.0.1:{port}" in done.stderr
    assert str(log) in done.stderr
    assert f"listening on http://127.0.0.1:{port}" in log.read_text()
    wait_until(lambda: not answers(port))


def test_any_free_port_will_do(tmp_path: Path, config: Path) -> None:
    done = run(tmp_path, "run", "--config", str(config), "--port", "0", "--", "sh", "-c", SHOW)

    assert done.stdout.startswith("BASE http://127.0.0.1:"), done.stderr


def test_it_ends_though_its_starter_was_killed(tmp_path: Path, config: Path) -> None:
    port = free_port()
    with running(tmp_path, config, port) as process:
        process.kill()
        process.wait(20)

        wait_until(lambda: not answers(port))


def test_it_stays_while_another_uses_it(tmp_path: Path, config: Path) -> None:
    port = free_port()
    with running(tmp_path, config, port) as first, running(tmp_path, config, port) as second:
        ask = ["run", "--config", str(config), "--port", str(port), "--", "sh", "-c", SHOW]
        third = run(tmp_path, *ask, TMPDIR=str(tmp_path))
        assert "started a Nexus" not in third.stderr
        assert first.stdin is not None
        first.stdin.close()
        assert first.wait(20) == 0

        assert answers(port)
        assert second.stdin is not None
        second.stdin.close()
        wait_until(lambda: not answers(port))


def test_two_at_once_start_one(tmp_path: Path, config: Path) -> None:
    port = free_port()
    processes = [started(tmp_path, config, port) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"READY\n"
    finally:
        for process in processes:
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0]


def test_one_that_runs_already_is_used_and_left(tmp_path: Path) -> None:
    with fake_nexus() as (url, asked):
        done = run(tmp_path, "run", "--url", url, "--", "sh", "-c", SHOW)
        assert answers(int(url.rpartition(":")[2]))

    assert (done.returncode, done.stdout, done.stderr) == (0, f"BASE {url}/v1\n", "")
    assert ("/health", None) in asked


def test_nothing_is_started_elsewhere(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = run(tmp_path, "run", "--url", url, "--", "sh", "-c", SHOW)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"nexus: run: no Nexus is running at {url}\n"


def test_another_server_at_the_address_is_told(tmp_path: Path) -> None:
    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "ok"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        port = str(server.server_port)
        done = run(tmp_path, "run", "--port", port, "--", "sh", "-c", SHOW)
        server.shutdown()
        thread.join()

    assert done.returncode == 2
    assert "is not a Nexus; choose another port with --port" in done.stderr


def test_why_it_does_not_start_is_told(tmp_path: Path, config: Path) -> None:
    port = str(free_port())
    faulty = "NEXUS_LOG_LEVEL"  # read by a start alone
    ask = ["run", "--config", str(config), "--port", port, "--", "sh", "-c", SHOW]

    done = run(tmp_path, *ask, **{faulty: "loud"})

    assert (done.returncode, done.stdout) == (2, "")
    assert "NEXUS_LOG_LEVEL: is not one of" in done.stderr
    assert "has ended; log: " in done.stderr


def test_a_module_of_the_users_folder_is_not_imported(tmp_path: Path, config: Path) -> None:
    (tmp_path / "httpx.py").write_text("raise SystemExit('the user has such a file')")

    ask = ["run", "--config", str(config), "--port", "0", "--", "sh", "-c", SHOW]
    done = run(tmp_path, *ask)

    assert done.stdout.startswith("BASE "), done.stderr


def test_a_folder_of_somebody_elses_is_not_used(tmp_path: Path, config: Path) -> None:
    folder = tmp_path / f"nexus-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)

    ask = ["run", "--config", str(config), "--port", "0", "--", "sh", "-c", SHOW]
    done = run(tmp_path, *ask, TMPDIR=str(tmp_path))

    assert done.returncode == 2
    assert "is not yours alone" in done.stderr


def test_sigterm_ends_both(tmp_path: Path, config: Path) -> None:
    port = free_port()
    with running(tmp_path, config, port) as process:
        process.send_signal(signal.SIGTERM)

        assert process.wait(20) == 143
        wait_until(lambda: not answers(port))


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--privacy", "restricted"), "no restricted backend can serve 'm' now"),
        (("--tier", "4"), "tier"),
    ],
)
def test_what_no_backend_can_do_is_told_before_the_program_starts(
    tmp_path: Path, option: tuple[str, str], told: str
) -> None:
    path = tmp_path / "test.toml"
    cloud = backend_table("far", "http://127.0.0.1:9", ["m"], zone="open", tier=2)
    path.write_text(config_text(cloud))
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\necho started\n")
    program.chmod(0o700)
    ask = ["run", "claude", "--config", str(path), "--port", "0", "--model", "m"]

    refused = run(tmp_path, *ask, *option, PATH=f"{tmp_path}:/usr/bin:/bin")
    served = run(tmp_path, *ask, "--tier", "2", PATH=f"{tmp_path}:/usr/bin:/bin")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in refused.stderr
    assert (served.returncode, served.stdout) == (0, "started\n"), served.stderr
