"""What is said of an address where no Nexus answers: one sentence for each reason."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.listener import connection_problem, require_nexus, who_answers
from tests.tui.commands.serving import fake_nexus
from tests.tui.commands.test_explain_command import stranger

URL = "https://nexus.example:8000"


@contextmanager
def silence() -> Iterator[str]:
    """A server that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_nexus_is_known_by_its_health() -> None:
    with fake_nexus() as (url, asked):
        require_nexus(url, 5)

    assert asked == [("/health", None)]


def test_a_hang_is_told_as_a_hang() -> None:
    with silence() as url, pytest.raises(NoAnswerError) as raised:
        require_nexus(url, 0.1)

    assert str(raised.value) == f"no answer from {url} within 0.1 s"


def test_a_hang_is_a_server_that_is_silent() -> None:
    with silence() as url:
        found = who_answers(url, 0.1)

    assert (found.kind, found.is_silent) == ("stranger", True)


def test_another_server_is_told() -> None:
    with stranger() as (url, _), pytest.raises(NoAnswerError) as raised:
        require_nexus(url, 5)

    assert str(raised.value) == f"the server at {url} is not a Nexus"


def test_a_port_where_nothing_listens_is_told() -> None:
    with silence() as url:
        pass

    with pytest.raises(NoAnswerError) as raised:
        require_nexus(url, 5)

    assert str(raised.value) == f"no Nexus is running at {url}"


def test_tls_to_a_server_that_speaks_none_is_told() -> None:
    with stranger() as (url, _), pytest.raises(NoAnswerError, match="does not speak TLS"):
        require_nexus(url.replace("http:", "https:"), 5)


def chained(error: OSError) -> BaseException:
    outer = RuntimeError("connection failed")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(), f"no Nexus is running at {URL}"),
        (socket.gaierror(-2, "Name or service not known"), "nexus.example: unknown host"),
        (
            OSError(errno.EHOSTUNREACH, "No route to host"),
            f"{URL} can't be reached: No route to host",
        ),
        (ssl.SSLError(1, "bad handshake"), f"TLS error at {URL}: the handshake failed"),
    ],
)
def test_each_reason_has_a_sentence_of_its_own(error: OSError, told: str) -> None:
    assert connection_problem(URL, chained(error)) == told
