"""A real `nexus --no-ui --workers N`, and looks at its processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.contract.nexus_process import NexusProcess, backend_table, config_text
from tests.waiting import until


async def start_several(
    folder: Path, upstream: str, count: int = 2, more: str = "", **environment: str
) -> NexusProcess:
    """Start so many workers in front of one backend, with a ledger in the folder."""
    text = config_text(backend_table("local", upstream, ["m"], zone="restricted"), more=more)
    text = text.replace('":memory:"', '"nexus.db"')
    (folder / "nexus.toml").write_text(text)
    nexus = NexusProcess(folder)
    arguments = ["--workers", str(count), "--config", str(folder / "nexus.toml")]
    await nexus.start(arguments, environment)
    await until(lambda: f"{count} workers serve" in nexus.stderr)
    return nexus


def recorded(ledger: Path) -> set[str]:
    """The ids of the requests in the ledger."""
    with closing(sqlite3.connect(ledger)) as connection:
        return {one for (one,) in connection.execute("SELECT request_id FROM requests")}


def children(pid: int) -> dict[int, str]:
    """The processes that it started, and their command lines."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="],  # noqa: S607 - POSIX
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {int(one): words for one, parent, words in rows if int(parent) == pid}


def workers(pid: int) -> dict[int, int]:
    """The process ids of its workers by their numbers."""
    found = {one: words for one, words in children(pid).items() if "nexus worker " in words}
    return {int(words.rpartition(" ")[2]): one for one, words in found.items()}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(  # noqa: S603 - a number
        ["ps", "-o", "stat=", "-p", str(pid)],  # noqa: S607 - POSIX
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return bool(state) and not state.startswith("Z")
