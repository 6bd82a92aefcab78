from __future__ import annotations

import errno
import socket

import pytest

from nexus_core.config.outbound_proxy import OutboundProxy
from nexus_core.upstream import transport_errors
from nexus_core.upstream.base import UpstreamConnectTimeoutError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "no such host"),
        (ValueError("x"), "no connection"),
    ],
)
def test_why_there_is_no_connection_is_the_systems_word(error: Exception, words: str) -> None:
    wrapped = RuntimeError("the library's")
    wrapped.__cause__ = error

    assert str(transport_errors.connect_failed(wrapped, 5)) == words


def test_a_time_out_tells_the_limit() -> None:
    failed = transport_errors.connect_failed(TimeoutError(), 2.5)

    assert isinstance(failed, UpstreamConnectTimeoutError)
    assert str(failed) == "no connection within 2.5 s"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("bad status line", "not HTTP: bad status line"),
        ("illegal header line: bytearray(b'sk-key')", "not HTTP: illegal header line"),
        ("Expected HTTP/, got:\n\n  b'sk-key'", "not HTTP: Expected HTTP/, got"),
        ("  ", "not HTTP: the answer cannot be parsed"),
    ],
)
def test_a_parsers_reason_quotes_nothing_of_the_answer(reason: str, words: str) -> None:
    assert str(transport_errors.not_http(reason)) == words


def test_framing_is_the_engines_own() -> None:
    headers = (("Content-Length", "3"), ("transfer-encoding", "chunked"), ("X-A", "1"))

    assert transport_errors.without_framing(headers) == [("X-A", "1")]


@pytest.mark.parametrize(
    ("user", "status", "words"),
    [
        (None, 407, "requires a user name and password"),
        ("me", 407, "rejects the user name and password"),
        (None, 403, "refuses to connect (403)"),
        (None, 502, "could not connect: it answers (502)"),
    ],
)
def test_a_proxys_refusal_is_told_as_its_own(user: str | None, status: int, words: str) -> None:
    proxy = OutboundProxy("http", "proxy.test", 3128, user)

    assert words in str(transport_errors.refused_by_proxy(proxy, status))
