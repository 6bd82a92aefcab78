"""What listens at an address: a Nexus, another server, or nothing that answers, and why."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from nexus_core.types import is_object
from nexus_tui.commands.base.errors import NoAnswerError

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    import httpx

Kind: TypeAlias = Literal["nexus", "stranger", "nothing"]

_HEALTH_BYTES = 64 * 1024  # a stranger may answer without end
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,32}")
# Of OpenSSL, where the other side speaks without TLS.
_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")


@dataclass(frozen=True, slots=True)
class Listener:
    """A server at an address, by its /health answer."""

    kind: Kind
    problem: str = ""  # for people: why it is no Nexus that answers
    version: str | None = None  # of a Nexus, where it tells
    pid: int | None = None
    is_silent: bool = False  # took the connection and said nothing in time


def require_nexus(url: str, timeout_seconds: float) -> None:
    """Return if a Nexus answers at `url`. No key is sent.

    Raises:
        NoAnswerError: none does.
    """
    found = who_answers(url, timeout_seconds)
    if found.kind != "nexus":
        raise NoAnswerError(found.problem)


def who_answers(url: str, timeout_seconds: float) -> Listener:
    """The server at `url`. No key is sent."""
    import httpx

    silence = f"no answer from {url} within {timeout_seconds:g} s"
    stranger = Listener("stranger", f"the server at {url} is not a Nexus")
    until = time.monotonic() + timeout_seconds
    try:
        # A proxy of the environment is for what lies outside.
        with httpx.stream(
            "GET", f"{url}/health", timeout=timeout_seconds, trust_env=False
        ) as answer:
            content = _beginning(answer, until)
        health = json.loads(content)
    except httpx.ConnectTimeout:
        return Listener("nothing", silence)
    except httpx.ConnectError as error:
        return Listener("nothing", connection_problem(url, error))
    except httpx.TimeoutException:
        return Listener("stranger", silence, is_silent=True)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return stranger
    if not is_object(health) or health.get("service") != "nexus":
        return stranger
    version, pid = health.get("version"), health.get("pid")
    return Listener(
        "nexus",
        version=version if isinstance(version, str) and _VERSION.fullmatch(version) else None,
        pid=pid if type(pid) is int and pid > 0 else None,
    )


def _beginning(answer: httpx.Response, until: float) -> bytes:
    """The body, as far as it is read.

    Raises:
        httpx.ReadTimeout: it is not whole at that time.
    """
    import httpx

    content = b""
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) > _HEALTH_BYTES:
            break
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer goes on and on")
    return content


def connection_problem(url: str, error: BaseException) -> str:
    """Why there is no connection, for people: of an httpx.ConnectError and what led to it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return _tls_problem(url, cause)
        if isinstance(cause, socket.gaierror):
            return f"{urlsplit(url).hostname}: unknown host"
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionRefusedError):
            return f"{url} can't be reached: {cause.strerror or cause}"
        cause = cause.__cause__ or cause.__context__
    return f"no Nexus is running at {url}"


def _tls_problem(url: str, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {url} is not trusted: {error.verify_message}"
    reason: str = getattr(error, "reason", None) or "the handshake failed"
    if reason in _PLAIN:
        return f"the server at {url} does not speak TLS; try http://"
    return f"TLS error at {url}: {reason}"
