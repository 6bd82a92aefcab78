"""Run an editor or a pager on the dashboard's terminal, while the proxy serves on."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

_EDITORS = ("VISUAL", "EDITOR")  # the first that is set
_PAGERS = ("less", "more")  # where $PAGER is not set
_GRACE_SECONDS = 1.0  # for a program that has to go


class NoProgramError(Exception):
    """There is no such program here, or no terminal to run it on; the message is for people."""


class Terminal(Protocol):
    """Whoever draws on the terminal, and can leave it to another program."""

    async def hand_over(self) -> None:
        """Restore the terminal and leave it alone; never waits on the event loop's thread."""
        ...

    def take_back(self) -> None:
        """Draw again."""
        ...


def editor(environ: Mapping[str, str]) -> list[str] | None:
    """The command of $VISUAL or $EDITOR; None where neither is set."""
    return next((found for name in _EDITORS if (found := _split(environ.get(name)))), None)


def pager(environ: Mapping[str, str]) -> list[str] | None:
    """The command of $PAGER, else less or more; None where there is none."""
    if found := _split(environ.get("PAGER")):
        return found
    path = environ.get("PATH")
    return next(([name] for name in _PAGERS if shutil.which(name, path=path)), None)


def _split(command: str | None) -> list[str]:
    try:
        return shlex.split(command or "")
    except ValueError:  # an open quote
        return []


async def edit(terminal: Terminal, command: Sequence[str], text: str, suffix: str) -> str | None:
    """Edit a text in a private file that is gone afterwards; None where the editor failed.

    Raises:
        NoProgramError: it can't be run, or what it left can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="nexus-edit-") as folder:  # 0700; its backups go, too
        path = Path(folder, f"request{suffix}")
        await asyncio.to_thread(_write_private, path, text)
        if await run(terminal, [*command, str(path)]):
            return None
        try:
            return await asyncio.to_thread(path.read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NoProgramError(f"what {command[0]} left can't be read: {error}") from error


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.reconfigure(encoding="utf-8", errors="backslashreplace")
        file.write(text)


async def run(
    terminal: Terminal,
    command: Sequence[str],
    *,
    stdin: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run a program on the terminal; gives its exit code, negative for a signal.

    It runs in a process group of its own, the terminal's foreground: ctrl+c and ctrl+z in it are
    its own affair. When this task is cancelled, as at the end of Nexus, the program is ended.

    Args:
        stdin: what it reads; None: the terminal.
        environ: variables to set for it.

    Raises:
        NoProgramError: it can't be run.
    """
    if shutil.which(command[0]) is None:
        raise NoProgramError(f"{command[0]}: not found")
    async with _left_alone(terminal):
        try:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - it is the user's own program
                command,
                stdin=sys.__stdin__ if stdin is None else subprocess.PIPE,
                stdout=sys.__stderr__,  # that is where the dashboard draws; stdout may be a pipe
                stderr=sys.__stderr__,
                env={**os.environ, **(environ or {})},
                process_group=0,
            )
        except OSError as error:
            raise NoProgramError(f"{command[0]}: {error.strerror}") from error
        if process.stdin is not None:
            feed = (process.stdin, stdin or "")
            threading.Thread(target=_feed, args=feed, daemon=True, name="nexus-pager").start()
        return await _ended(process)


@asynccontextmanager
async def _left_alone(terminal: Terminal) -> AsyncGenerator[None]:
    """The terminal is another program's inside this context."""
    await terminal.hand_over()
    try:
        yield
    except asyncio.CancelledError:
        raise  # the dashboard ends, and draws no more
    except BaseException:
        terminal.take_back()
        raise
    terminal.take_back()


def _feed(pipe: IO[bytes], text: str) -> None:
    with suppress(OSError):  # a pager that is left early
        pipe.write(text.encode("utf-8", "backslashreplace"))
        pipe.close()


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end beside the event loop."""
    waiting = asyncio.ensure_future(asyncio.to_thread(_wait, process))
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        for number in (signal.SIGHUP, signal.SIGKILL):
            _signal(process, number)
            if (await asyncio.wait([waiting], timeout=_GRACE_SECONDS))[0]:
                break
        raise


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    for each in (number, signal.SIGCONT):
        with suppress(OSError):
            os.killpg(process.pid, each)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait in a thread, as a shell waits for its foreground job; a job that stops goes on."""
    with _foreground() as give_to:
        give_to(process.pid)
        while True:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode
            give_to(process.pid)  # it asked for the terminal before it had it, or met ctrl+z
            _signal(process, signal.SIGCONT)


@contextmanager
def _foreground() -> Generator[Callable[[int], None]]:
    """The terminal is given to process groups inside this context, and restored after it."""
    fd = sys.__stdin__.fileno() if sys.__stdin__ else 0
    try:
        modes = termios.tcgetattr(fd)
    except termios.error:
        modes = None

    def give_to(group: int) -> None:
        with suppress(OSError):  # it is no controlling terminal of ours
            os.tcsetpgrp(fd, group)

    # Who is in the background is stopped for setting the foreground, unless it blocks this.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield give_to
    finally:
        give_to(os.getpgrp())
        if modes is not None:
            with suppress(termios.error):
                termios.tcsetattr(fd, termios.TCSADRAIN, modes)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
