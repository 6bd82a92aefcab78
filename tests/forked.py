"""The `nexus` command in a process of its own that need not import Nexus anew.

On Linux, one process for each run of pytest imports it once and forks for each command: that
takes some milliseconds instead of most of a second. Elsewhere, and where a test is about the start
itself, the interpreter is started as a user starts it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

SECONDS = 20
ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "nexus_tui.cli")
FORKS = sys.platform == "linux"  # the frameworks of macOS do not outlive a fork

_MAX_REQUEST_BYTES = 128 * 1024
_IMPORTED = (
    *("nexus_core.api.routes", "nexus_core.api.listen.server", "nexus_core.config.load"),
    *("nexus_core.control.check", "nexus_core.discovery.new_config", "nexus_core.gateway"),
    *("nexus_core.control.execute", "nexus_core.control.explainer", "nexus_core.money.report"),
    *("nexus_core.upstream.http1", "nexus_core.upstream.httpx_engine"),
    *("nexus_tui.cli", "nexus_tui.process.logs.log_handlers", "nexus_tui.process.loop"),
    "nexus_tui.process.serving",
)


class Process(Protocol):
    """What of `subprocess.Popen` the tests use."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


def start(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int,
    stderr: int,
    fresh: Sequence[str] = (),
) -> Process:
    """Begin `nexus` with these arguments.

    Args:
        stdout: a descriptor, as is `stderr`.
        fresh: the command as users start it, or another; empty: where it can be, it is forked.
    """
    if FORKS and not fresh:
        return Forked(arguments, cwd=cwd, env=env, stdout=stdout, stderr=stderr)
    return subprocess.Popen(  # noqa: S603 - ours
        [*(fresh or COMMAND), *arguments],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    )


class Forked:
    """A process that runs `nexus`; its end is told by the one that forked it."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int,
        stderr: int,
    ) -> None:
        request = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}
        self._end, theirs = socket.socketpair()
        self.returncode: int | None = None
        with theirs, open(os.devnull, "rb") as stdin:
            fds = [theirs.fileno(), stdin.fileno(), stdout, stderr]
            socket.send_fds(_parent().control, [json.dumps(request).encode()], fds)
        self.pid = int(self._said(SECONDS))

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(int(self._said(timeout)))
            self._end.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _said(self, timeout: float | None) -> str:
        if not select.select([self._end], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("nexus", timeout or 0)
        said = self._end.recv(_NUMBER_BYTES)
        assert said, "the process that forks is gone"
        return said.decode()

    def __del__(self) -> None:
        self._end.close()


_NUMBER_BYTES = 12  # of a pid or a status, filled with blanks


class _Parent:
    """The process that forks. It ends when its socket is closed, also where this one dies."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - ours
                [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )


@cache
def _parent() -> _Parent:
    return _Parent()


def end() -> None:
    """End the process that forks, and with it all that it forked."""
    if _parent.cache_info().currsize:
        _parent().control.close()
        _parent().process.wait(SECONDS)
        _parent.cache_clear()


# The process that forks ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What a child is to be."""

    arguments: list[str]
    cwd: str
    env: dict[str, str]
    stdio: tuple[int, ...]


def prepare() -> None:
    """Import and load what the command may need; a test of that starts an interpreter."""
    for name in _IMPORTED:
        importlib.import_module(name)
    from nexus_core.money.prices import Prices

    Prices({}).load()
    gc.freeze()


def serve(control: socket.socket) -> Request:
    """Fork for every request; returns in the child."""
    ends: dict[int, socket.socket] = {}
    woken, wake = os.pipe()
    for fd in (woken, wake):
        os.set_blocking(fd, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    watched: list[socket.socket | int] = [control, woken]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if woken in ready:
            os.read(woken, 4096)
            _tell_ends(ends)
        if control not in ready:
            continue
        data, fds, _, _ = socket.recv_fds(control, _MAX_REQUEST_BYTES, 4)
        if not data:
            _kill(ends)
        end = socket.socket(fileno=fds[0])
        if pid := os.fork():
            ends[pid] = end
            _tell(end, pid)
            for fd in fds[1:]:
                os.close(fd)
            continue
        signal.set_wakeup_fd(-1)
        for each in (control, end, *ends.values()):
            each.close()
        for fd in (woken, wake):
            os.close(fd)
        asked = json.loads(data)
        return Request(asked["arguments"], asked["cwd"], asked["env"], tuple(fds[1:]))


def _tell(end: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError):  # whoever started it does not want to know
        end.send(str(number).ljust(_NUMBER_BYTES).encode())


def _tell_ends(ends: dict[int, socket.socket]) -> None:
    while ends:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with ends.pop(pid) as end:
            _tell(end, status)


def _kill(pids: Mapping[int, object]) -> None:
    """The tests are over: nothing outlives them."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def become(request: Request) -> int:
    """Be what the interpreter would have made of it; gives the exit code."""
    for number, fd in enumerate(request.stdio):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)
    time.tzset()
    random.seed()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    sys.argv = ["nexus", *request.arguments]
    from nexus_tui.cli import main

    return main(request.arguments)


if __name__ == "__main__":
    prepare()
    sys.exit(become(serve(socket.socket(fileno=int(sys.argv[1])))))
