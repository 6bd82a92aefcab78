"""The Nexus beside a program: the one that runs already, or one that ends with the last program.

Who uses it holds the write end of a FIFO that is named by the port. The Nexus reads it, and ends
when nobody holds it any more: also after a SIGKILL of whoever started it, and not while another
`nexus run` still uses it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.listener import who_answers
from nexus_tui.commands.base.target import local_url
from nexus_tui.process.streams import say

if TYPE_CHECKING:
    from nexus_core.config.schema import ServerConfig

_CHILD = "nexus_tui.commands.run.child"
_START_SECONDS = 30.0
_END_SECONDS = 1.0  # to be gone before the next `nexus run` looks; in use by others, it stays
_LOOK_EVERY_SECONDS = 0.02
_TOLD_LINES = 5  # of a log, why it ended


@dataclass(frozen=True, slots=True)
class Beside:
    """A Nexus that answers."""

    url: str
    is_new: bool = False  # started for this program: its backends are being looked at


@dataclass(frozen=True, slots=True)
class Start:
    """How to start one: the same configuration as this command has."""

    server: ServerConfig
    arguments: Sequence[str]  # of `nexus`, but for the port
    environ: Mapping[str, str] = field(repr=False)


@contextlib.contextmanager
def nexus_beside(url: str | None, start: Start) -> Generator[Beside]:
    """A Nexus for as long as the context lasts: that at `url`, else the configured one.

    Raises:
        NoAnswerError: there is none at `url`, something else is there, or it does not start.
    """
    server = start.server
    if url is None and not server.port:
        with _started(start, _free_port(server.host)) as started:
            yield started
        return
    place = url or local_url(server.host, server.port)
    with contextlib.ExitStack() as stack:
        if url is None and (holding := _join(server.port)) is not None:
            stack.callback(os.close, holding)  # before it is asked: now it does not end
        found = who_answers(place, server.connect_timeout_seconds)
        if found.kind == "nexus":
            yield Beside(place)
        elif url is not None:
            raise NoAnswerError(found.problem)
        elif found.kind == "stranger":
            raise NoAnswerError(f"{found.problem}; choose another port with --port")
        else:
            yield stack.enter_context(_started(start, server.port))


def _free_port(host: str) -> int:
    with socket.create_server((host, 0), family=_family(host)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


# Starting -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _started(start: Start, port: int) -> Generator[Beside]:
    url = local_url(start.server.host, port)
    log = _log_file(port)
    fifo = _folder() / f"run-{port}"
    with contextlib.suppress(FileNotFoundError):
        fifo.unlink()  # of one that was killed
    os.mkfifo(fifo, 0o600)
    read = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    held = os.open(fifo, os.O_WRONLY)
    try:
        child = _child(start, port, (read, str(fifo)), log)
    finally:
        os.close(read)
    try:
        _wait_for_answer(url, child, log)
        say(f"started a Nexus at {url} (nexus attach {url}); it ends with the program; log: {log}")
        yield Beside(url, is_new=True)
    finally:
        os.close(held)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_SECONDS)
        child.returncode = child.returncode or 0  # it may go on for others, and is no zombie then


def _child(start: Start, port: int, fifo: tuple[int, str], log: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl+C is the program's alone."""
    own = (*start.arguments, "--no-ui", "--log-format", "pretty", "--port", str(port))
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        # -P: what lies in the user's folder is not Nexus's to import.
        return subprocess.Popen(  # noqa: S603 - this Python, and Nexus
            [sys.executable, "-P", "-m", _CHILD, str(fifo[0]), fifo[1], *own],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(start.environ),
            pass_fds=[fifo[0]],
            start_new_session=True,
        )


def _wait_for_answer(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    """
    Raises:
        NoAnswerError: it ended instead, or does not answer in time.
    """
    until = time.monotonic() + _START_SECONDS
    while child.poll() is None:
        found = who_answers(url, _START_SECONDS)
        if found.kind == "nexus" and found.pid in (None, child.pid):
            return
        if time.monotonic() > until:
            raise NoAnswerError(f"the Nexus started at {url} does not answer; log: {log}")
        time.sleep(_LOOK_EVERY_SECONDS)
    lines = log.read_text("utf-8", errors="replace").splitlines()[-_TOLD_LINES:]
    for line in lines:
        say(line.removeprefix("nexus: "))
    raise NoAnswerError(f"the Nexus started at {url} has ended; log: {log}")


def _log_file(port: int) -> Path:
    """A file of the user's log directory, written anew by each start at that port."""
    from nexus_core.config import user_dirs

    folder = user_dirs.log_dir()
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder / f"run-{port}.log"
    except OSError:
        pass  # a read-only home
    return _folder() / f"run-{port}.log"


# Using one together -------------------------------------------------------------------------------


def _join(port: int) -> int | None:
    """Hold the Nexus that another `nexus run` started at the port; None if there is none."""
    try:
        return os.open(_folder() / f"run-{port}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no such file, or nobody reads it
        return None


def _folder() -> Path:
    """This user's own folder for what runs.

    Raises:
        NoAnswerError: somebody else has made it.
    """
    folder = Path(tempfile.gettempdir(), f"nexus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NoAnswerError(f"{folder} is not yours alone; remove it, or set TMPDIR")
    return folder
