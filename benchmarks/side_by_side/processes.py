"""Processes that are compared: started on a core of their own, watched through /proc."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

GATEWAY_CORE, OTHER_CORE = 0, 1
READY_SECONDS = 60
SIZE = (36, 120)  # lines, columns of the dashboard's terminal

_TICK = os.sysconf("SC_CLK_TCK")
_HAS_PROC = Path("/proc/self/stat").exists()
_HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway; figures are those of its process and its children, NaN where there is no /proc."""

    name: str
    port: int
    child: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """Of user and system together, since its start."""
        if not _HAS_PROC:
            return math.nan
        total = 0
        for pid in _with_children(self.child.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICK

    def resident_mb(self) -> float:
        if not _HAS_PROC:
            return math.nan
        page = os.sysconf("SC_PAGE_SIZE")
        pages = sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for pid in _with_children(self.child.pid)
        )
        return pages * page / 1e6

    def wait_for_health(self) -> None:
        """Return at the first 200 of /health; one that ends or never gets there ends the run."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.child.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self.child.returncode}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as wire:
                wire.sendall(_HEALTH)
                if b" 200 " in wire.recv(64):
                    return
            time.sleep(0.005)
        raise SystemExit(f"{self.name} is not ready after {READY_SECONDS} s")

    def rest(self, limit_seconds: float = 30.0) -> None:
        """Return once it has loaded what it loads after its start."""
        end = time.monotonic() + limit_seconds
        quiet = 0
        while time.monotonic() < end and quiet < 2:
            before = self.cpu_seconds()
            time.sleep(0.4)
            quiet = 0 if self.cpu_seconds() - before > 0.03 else quiet + 1


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):  # a thread that has just ended
                found += map(int, task.read_text().split())
    return found


def pin(pid: int, core: int) -> None:
    """Keep a process on a core, where the system can do that and has so many."""
    if sys.platform == "linux" and core in os.sched_getaffinity(0):
        os.sched_setaffinity(pid, {core})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _inherited() -> dict[str, str]:
    """The environment, with leave to keep bytecode: without it each start would compile anew."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def started(
    command: Sequence[str], errors: Path, core: int, environment: dict[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """Run a command with stderr in a file; it is ended with the block."""
    with errors.open("ab") as stderr:
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**_inherited(), **(environment or {})},
        )
    pin(child.pid, core)
    try:
        yield child
    finally:
        _end(child)


@contextmanager
def started_on_a_terminal(
    command: Sequence[str], core: int, environment: dict[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """Run it on a pseudo-terminal that a thread reads as fast as it is written."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    child = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**_inherited(), **(environment or {}), "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(slave)
    pin(child.pid, core)
    drain = threading.Thread(target=_read_all, args=(master,), daemon=True)
    drain.start()
    try:
        yield child
    finally:
        _end(child)
        drain.join(5)
        os.close(master)


def _read_all(master: int) -> None:
    with contextlib.suppress(OSError):  # what Linux says of a pty without a process
        while os.read(master, 65536):
            pass


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
