"""Whom and what a request is for: hosts, origins and odd targets."""

from __future__ import annotations

import json

import pytest

from tests.api.listen.test_server import BODY, status, talk
from tests.api.test_http import port

__all__ = ["port"]

# Status by method and target; none of it is the server's fault.
TARGETS: list[tuple[bytes, bytes, int]] = [
    (b"POST", b"//v1/chat/completions", 404),
    (b"POST", b"/v1/chat/completions/", 404),
    (b"POST", b"/v1//chat/completions", 404),
    (b"POST", b"/V1/chat/completions", 404),
    (b"POST", b"/v1/chat%2fcompletions", 400),  # the path is routed by as it is meant
    (b"POST", b"/v1/chat/completions?api-version=1", 400),
    (b"POST", b"/v1/chat/completions#x", 400),
    (b"GET", b"/health/", 404),
    (b"GET", b"/docs/", 404),
    (b"GET", b"/v1/models/", 404),
    (b"GET", b"/v1/../nexus/state", 404),
    (b"GET", b"/v1/%2e%2e/nexus/state", 404),
    (b"GET", b"/v1/models/%2e%2e", 404),
    (b"GET", b"/v1/models/%ff%fe", 404),
    (b"GET", b"/v1/models/%ed%a0%80", 404),
    (b"GET", b"/v1/models/%00", 404),
    (b"GET", b"/v1/models/%", 404),
    (b"GET", b"/v1/models/%zz", 404),
    (b"GET", b"/v1/models/" + b"%F0%9F%A6%99" * 2000, 404),
    (b"GET", b"/v1/models?" + b"a=b&" * 10_000, 200),
    (b"GET", b"/nexus/requests?limit=" + b"9" * 5000, 400),
    (b"GET", b"/nexus/requests?before=%ed%a0%80%00", 200),
    (b"GET", b"/nexus/logs?after=%ff", 400),
    (b"GET", b"/nexus/requests/%ff%00/bodies", 404),
    (b"GET", b"/\xc3\xa4".replace(b"\xc3\xa4", b"%c3%a4"), 404),
    (b"OPTIONS", b"*", 404),
    (b"OPTIONS", b"/v1/chat/completions", 405),
    (b"HEAD", b"/v1/chat/completions", 405),
    (b"GET", b"/v1/chat/completions", 405),
    (b"PUT", b"/v1/embeddings", 405),
    (b"DELETE", b"/v1/models/m", 405),
    (b"PROPFIND", b"/v1/models", 405),
    (b"OPTIONS", b"/nexus/state", 405),
    (b"TRACE", b"/health", 405),
]


@pytest.mark.parametrize(("method", "target", "expected"), TARGETS)
async def test_an_odd_target_is_the_clients_mistake(
    port: int, method: bytes, target: bytes, expected: int
) -> None:
    line = b"%b %b HTTP/1.1\r\n" % (method, target)
    answer = await talk(port, line + b"Host: localhost\r\nConnection: close\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == expected
    assert b"access-control-" not in head.lower()
    assert b"location:" not in head.lower()
    assert (b"\r\nallow: " in head.lower()) == (expected == 405)
    if expected != 200 and method != b"HEAD":
        error = json.loads(body)["error"]
        assert error["type"] == "invalid_request_error"
        if expected == 405:
            assert error["code"] == "method_not_allowed"
        if expected == 400:
            assert error["code"] == "invalid_request"


@pytest.mark.parametrize(
    "line",
    [
        b"User-Agent: \xc3\xa4\xff\x80",
        b"X-Nexus-Backend: \xff\xfe",
        b"X-Nexus-Privacy-Zone: \xc3\xa9",
        b"X-Nexus-Min-Tier: \xb2",  # a digit to str.isdigit, and no number
        b"Content-Length: \xb2",
        b"Content-Type: \xff",
        b"Content-Encoding: \xff",
        b"Authorization: Bearer \xff",
        b"X-Api-Key: \xff\x80",
        b"Last-Event-ID: \xff",
        b"Sec-Fetch-Site: \xff",
        b"Forwarded: \xff",
    ],
)
@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/nexus/zones/open", b"/nowhere"])
async def test_bytes_over_127_in_a_header_harm_nothing(port: int, line: bytes, path: bytes) -> None:
    head = [b"POST %b HTTP/1.1" % path, b"Host: localhost", b"Connection: close", line]
    if not line.startswith(b"Content-Length"):
        head.append(b"Content-Length: %d" % len(BODY))

    answer = await talk(port, b"\r\n".join([*head, b"", b""]) + BODY)

    assert 400 <= status(answer) < 500


# --- who is meant -----------------------------------------------------------------------------

HEALTH = b"GET /health HTTP/1.1"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((HEALTH, b"Host: localhost"), 200),
        ((HEALTH, b"Host: \t[::1]:8000"), 200),
        ((HEALTH, b"host:127.0.0.1"), 200),
        ((HEALTH,), 403),
        ((HEALTH, b"Host:"), 403),
        ((HEALTH, b"Host: \xff"), 403),
        ((HEALTH, b"Host: [::1"), 403),
        ((HEALTH, b"Host: [::1%25lo]"), 403),
        ((HEALTH, b"Host: localhost:99999999999999"), 403),
        ((HEALTH, b"Host: localhost\0"), 400),
        ((HEALTH, b"Host: localhost", b"Host: localhost"), 400),
        ((HEALTH, b"Host: localhost", b"Origin: http://[::1"), 403),
        ((HEALTH, b"Host: localhost", b"Origin: http://[x]"), 403),
        ((HEALTH, b"Host: localhost", b"Origin: \xff\xfe"), 403),
        ((HEALTH, b"Host: localhost", b"Origin: http://localhost\0"), 400),
        ((HEALTH, b"Host: localhost", b"Origin: http://localhost"), 200),
        # An absolute target's host is what is asked for, whatever Host says (RFC 9112, 3.2.2).
        ((b"GET http://localhost/health HTTP/1.1",), 200),
        ((b"GET http://localhost:80/health HTTP/1.1", b"Host: evil.example"), 200),
        ((b"GET http://evil.example/health HTTP/1.1", b"Host: localhost"), 403),
        ((b"GET http://localhost@evil.example/health HTTP/1.1", b"Host: localhost"), 403),
        ((b"GET http://evil.example?localhost/ HTTP/1.1", b"Host: localhost"), 400),
        ((b"GET http://localhost/health HTTP/1.1", b"Host: a", b"Host: b"), 400),
        ((b"GET http://[::1/health HTTP/1.1", b"Host: localhost"), 400),
        ((b"GET http:///health HTTP/1.1", b"Host: localhost"), 400),
    ],
)
async def test_a_strange_host_or_origin_is_the_clients_mistake(
    port: int, lines: tuple[bytes, ...], expected: int
) -> None:
    answer = await talk(port, b"\r\n".join([*lines, b"Connection: close", b"", b""]))

    assert status(answer) == expected
