"""psycopg, the client of PostgreSQL: connecting, hanging up, and its errors in words of ours.

The only room that imports it; `connection` does so when it connects.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict

Connection = psycopg.Connection[tuple[Any, ...]]
Error = psycopg.Error
# Of a value or a row: it would fail again, and another row would not.
ROW_ERRORS = (psycopg.DataError, psycopg.IntegrityError)

# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_USUAL = {
    "application_name": "nexus",
    "connect_timeout": "3",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
# Whatever the environment or the database says: texts are of any script, and read as texts.
_ALWAYS = {"client_encoding": "utf8"}


class _Number(Loader):
    """The sum of integers, a numeric to PostgreSQL, as an integer; an average as a float."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return float(text) if b"." in text else int(text)


def connect(url: str, seconds: float | None = None) -> Connection:
    """Connect; each statement is a transaction of its own unless one is begun.

    Args:
        seconds: to wait for it, less than libpq can, whose least are 2; a `connect_timeout` in the
            URL counts instead. None: 3.

    Raises:
        psycopg.Error: it can't be; `told` words it.
    """
    told = {key: value for key, value in conninfo_to_dict(url).items() if value is not None}
    if seconds is None or "connect_timeout" in told:
        return _connected(told)
    trying: Future[Connection] = Future()

    def work() -> None:
        try:
            connection = _connected(told)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            trying.set_exception(error)
        else:
            trying.set_result(connection)

    threading.Thread(target=work, name="postgresql-connect", daemon=True).start()
    try:
        return trying.result(seconds)
    except TimeoutError:
        trying.add_done_callback(_close)
        raise psycopg.OperationalError(
            f"no connection within {seconds:g} s; connect_timeout in its URL may allow more"
        ) from None


def _connected(told: dict[str, Any]) -> Connection:
    settings: dict[str, Any] = {**_USUAL, **told, **_ALWAYS}
    # Nothing is prepared on the server: behind a pooler the next statement may go to another one.
    connection = psycopg.connect(**settings, autocommit=True, prepare_threshold=None)
    connection.adapters.register_loader("numeric", _Number)
    return connection


def _close(trying: Future[Connection]) -> None:
    """Nobody waits for it any more."""
    if trying.exception() is None:
        trying.result().close()


def told(error: BaseException, url: str) -> str:
    """An error in one line, for people: never a password."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines or [type(error).__name__])[0].removeprefix("connection failed: ")
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return text


def _secrets(url: str) -> set[str]:
    secrets = {url}
    with suppress(ValueError):
        written = urlsplit(url).password
        secrets |= {written or "", unquote(written or "")}
    with suppress(psycopg.Error):
        secrets.add(str(conninfo_to_dict(url).get("password") or ""))
    return {secret for secret in secrets if secret}


def hang_up(connection: Connection) -> None:
    """Break the connection, from any thread: who waits for its answer gets an error."""
    with suppress(OSError, psycopg.Error):
        other = socket.socket(fileno=os.dup(connection.fileno()))
        try:
            other.shutdown(socket.SHUT_RDWR)
        finally:
            other.close()


@contextmanager
def within(connection: Connection, seconds: float) -> Generator[None]:
    """Hang up if the block takes longer: a server that is cut off never answers."""
    lock, is_over = threading.Lock(), False

    def end() -> None:
        with lock:
            if not is_over:
                hang_up(connection)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            is_over = True
        timer.cancel()
