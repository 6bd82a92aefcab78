"""The Nexus beside a program: the one that runs already, or one that ends with the last program.

Who uses it holds the write end of a FIFO that is named by the port. The Nexus reads it, and ends
when nobody holds it any more: also after a SIGKILL of whoever started it, and not while another
`nexus run` still uses it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
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
from nexus_tui.commands.base.listener import require_nexus, who_answers
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
    seconds = start.server.connect_timeout_seconds
    if url is not None:
        require_nexus(url, seconds)
        yield Beside(url)
        return
    port = start.server.port or _free_port(start.server.host)
    place = local_url(start.server.host, port)
    with contextlib.ExitStack() as stack:
        with _alone(port):
            held = _join(port)
            if held is not None:
                stack.callback(os.close, held)
            child = None
            if held is None and not _is_nexus(place, seconds):
                child = _Child(start, port)
                stack.callback(child.leave)
        if held is not None:
            _wait_for_start(place, held)
            require_nexus(place, seconds)
        if child is not None:
            child.wait_for_answer(place)
        yield Beside(place, is_new=child is not None)


def _is_nexus(url: str, seconds: float) -> bool:
    """Whether a Nexus runs there already, and not nothing.

    Raises:
        NoAnswerError: it is another server.
    """
    found = who_answers(url, seconds)
    if found.kind == "stranger":
        raise NoAnswerError(f"{found.problem}; choose another port with --port")
    return found.kind == "nexus"


def _free_port(host: str) -> int:
    with socket.create_server((host, 0), family=_family(host)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


# Starting -----------------------------------------------------------------------------------------


class _Child:
    """A Nexus in a session of its own, so that Ctrl+C is the program's alone."""

    def __init__(self, start: Start, port: int) -> None:
        self._log = _log_file(port)
        fifo = _folder() / f"run-{port}"
        with contextlib.suppress(FileNotFoundError):
            fifo.unlink()  # of one that was killed
        os.mkfifo(fifo, 0o600)
        read = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self._held = os.open(fifo, os.O_WRONLY)
        own = (*start.arguments, "--no-ui", "--log-format", "pretty", "--port", str(port))
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(log, "wb") as output:
                # -P: what lies in the user's folder is not Nexus's to import.
                self._process = subprocess.Popen(  # noqa: S603 - this Python, and Nexus
                    [sys.executable, "-P", "-m", _CHILD, str(read), str(fifo), *own],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(start.environ),
                    pass_fds=[read],
                    start_new_session=True,
                )
        finally:
            os.close(read)

    def wait_for_answer(self, url: str) -> None:
        """Return once it answers, and tell of it.

        Raises:
            NoAnswerError: it ended instead, or does not answer in time.
        """
        until = time.monotonic() + _START_SECONDS
        while self._process.poll() is None:
            found = who_answers(url, _START_SECONDS)
            if found.kind == "nexus" and found.pid in (None, self._process.pid):
                say(
                    f"started a Nexus at {url} (nexus attach {url}); "
                    f"it ends with the program; log: {self._log}"
                )
                return
            if time.monotonic() > until:
                raise NoAnswerError(f"the Nexus started at {url} does not answer; log: {self._log}")
            time.sleep(_LOOK_EVERY_SECONDS)
        for line in self._log.read_text("utf-8", errors="replace").splitlines()[-_TOLD_LINES:]:
            say(line.removeprefix("nexus: "))
        raise NoAnswerError(f"the Nexus started at {url} has ended; log: {self._log}")

    def leave(self) -> None:
        """Use it no longer: it ends, unless others do."""
        os.close(self._held)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        # It may go on for others, and is no zombie then.
        self._process.returncode = self._process.returncode or 0


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


@contextlib.contextmanager
def _alone(port: int) -> Generator[None]:
    """While the context lasts no other `nexus run` looks whether to start one at the port."""
    with open(_folder() / f"run-{port}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _wait_for_start(url: str, holding: int) -> None:
    """Return once it answers, or has ended: another `nexus run` may just be starting it."""
    until = time.monotonic() + _START_SECONDS
    poll = select.poll()
    poll.register(holding, 0)  # an error alone: nobody reads it any more
    while time.monotonic() < until and not poll.poll(0):
        if who_answers(url, _START_SECONDS).kind != "nothing":
            return
        time.sleep(_LOOK_EVERY_SECONDS)


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
