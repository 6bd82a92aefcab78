"""Heads of requests: what is written, what is refused, and that each is made once."""

from __future__ import annotations

import pytest

from nexus_core.upstream.base import Headers, UpstreamConnectError, UpstreamRequest
from nexus_core.upstream.http1.request_head import Origin, RequestHeads

KEY = "sk-nobody-may-see-this"


def head(url: str, *headers: tuple[str, str], method: str = "POST") -> bytes:
    made = RequestHeads().of(UpstreamRequest(method, url, headers, b"{}"))
    return made.before_length


@pytest.mark.parametrize(
    ("url", "origin", "target", "host"),
    [
        ("http://H.example", Origin("h.example", 80, False), "/", "h.example"),
        ("https://h:443/a", Origin("h", 443, True), "/a", "h"),
        ("https://h:80/a?b", Origin("h", 80, True), "/a?b", "h:80"),
        ("http://[::1]:8/x", Origin("::1", 8, False), "/x", "[::1]:8"),
        ("http://bücher.example/x", Origin("xn--bcher-kva.example", 80, False), "/x",
         "xn--bcher-kva.example"),
        ("http://h/a/../b//c?q='(*)|", Origin("h", 80, False), "/a/../b//c?q='(*)|", "h"),
    ],
)  # fmt: skip
def test_a_url_gives_place_target_and_host(
    url: str, origin: Origin, target: str, host: str
) -> None:
    made = RequestHeads().of(UpstreamRequest("POST", url, ()))

    assert made.origin == origin
    begin = f"POST {target} HTTP/1.1\r\nHost: {host}\r\n"
    assert made.before_length == f"{begin}Content-Length: ".encode()
    assert made.without_body == f"{begin}Content-Length: 0\r\n\r\n".encode()


def test_a_get_says_nothing_of_a_body_it_has_not() -> None:
    made = RequestHeads().of(UpstreamRequest("GET", "http://h/x", (("A", "b"),)))

    assert made.without_body == b"GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"


@pytest.mark.parametrize(
    "header",
    [("A", "b\r\nEvil: 1"), ("A", "b\n"), ("A", "\0"), ("A\r\nEvil", "1"), ("A b", "1"), ("", "1")],
)
def test_no_header_brings_another_line(header: tuple[str, str]) -> None:
    with pytest.raises(UpstreamConnectError, match="forbidden character") as caught:
        head("http://h", ("authorization", KEY), header)

    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://h/a b", "http://h/\x7f", "http://h:99999/", "http://h:x/", "//h/", "http:///a",
     "ws://h/", "http://[::1/", "http://h x/"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UpstreamConnectError, match=r"^invalid address$"):
        head(url)


def test_framing_and_host_are_the_engines() -> None:
    made = head("http://h", ("HOST", "x"), ("content-length", "9"), ("Transfer-Encoding", "y"))

    assert made == b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: "


def test_alike_requests_share_a_head_and_others_do_not() -> None:
    heads = RequestHeads()
    headers: Headers = (("authorization", KEY),)
    one = heads.of(UpstreamRequest("POST", "http://h/a", headers, b"1"))

    assert heads.of(UpstreamRequest("POST", "http://h/a", (("authorization", KEY),), b"2")) is one
    for other in (
        UpstreamRequest("GET", "http://h/a", headers),
        UpstreamRequest("POST", "http://h/b", headers),
        UpstreamRequest("POST", "http://h/a", (("authorization", "another"),)),
    ):
        assert heads.of(other) is not one
    assert KEY not in repr(one)


def test_the_number_of_kept_heads_is_bounded() -> None:
    heads = RequestHeads()
    for number in range(1000):
        heads.of(UpstreamRequest("POST", f"http://h/{number}", ()))

    assert len(heads._kept) <= 256
