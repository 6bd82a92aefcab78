from typing import Any

import pytest

from nexus_core.api import auth
from nexus_core.api.auth import Caller, Guard
from nexus_core.config.schema import AuthConfig, ClientKey
from nexus_core.errors import (
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
)

KEYS = (ClientKey(name="alice", value=b"ka"), ClientKey(name="key-2", value=b"kb"))


def scope(
    path: str = "/v1/models", host: str | None = "localhost:8000", **headers: str
) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if host is not None:
        pairs.append((b"host", host.encode()))
    return {"path": path, "method": "GET", "headers": pairs}


def admit(guard: Guard, asked: dict[str, Any]) -> Caller:
    return guard.admit(asked["path"], asked["headers"])


LOCAL = [
    "localhost",
    "LOCALHOST:8000",
    "LocalHost:",  # RFC 3986: a port may be empty
    "localhost:0",
    "localhost:65535",
    "localhost:00080",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.8.8.8",
    "127.255.255.255:80",
    "[::1]",
    "[::1]:8000",
    "[::1]:",
]
# Names that lead elsewhere, names that may, and what only looks like one of ours.
FOREIGN = [
    "",
    " ",
    ":80",
    "evil.example",
    "10.0.0.1",
    "0.0.0.0",  # noqa: S104  a name in a header, bound to nothing
    "0",
    "[::]",
    "[::2]",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "evil-localhost",
    "xlocalhost",
    "localhost.",
    "localhost.:8000",
    "localhost.localdomain",
    "ip6-localhost",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.256",
    "127.0.0.1.",
    "127.0.0.1.1",
    "128.0.0.1",
    "1127.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
    "127.0.0.\u0661",
    "::1",
    "[::1",
    "::1]",
    "[::1]x",
    "[::1].evil.example",
    "[::1%lo]",
    "[::1%25lo]",
    "[::1%eth0]:80",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[127.0.0.1]",
    "[localhost]",
    "[v1.localhost]",
    "[]",
    "[]:80",
    "localhost:abc",
    "localhost:-1",
    "localhost:+80",
    "localhost: 80",
    "localhost:80 ",
    "localhost:65536",
    "localhost:99999999999999",
    "localhost:" + "9" * 5000,
    "localhost:80:80",
    "localhost:\xb2",
    "localhost:\u0661",
    "localhost:80#",
    "localhost/",
    "localhost/evil.example",
    "localhost?",
    "localhost#evil.example",
    "localhost\\evil.example",
    "user@localhost",
    "localhost@evil.example",
    "http://localhost",
    "localhost, evil.example",
    "evil.example, localhost",
    "localhost,localhost",
    "localhost evil.example",
    "localhost\tevil.example",
    "localhost\0",
    "localhost\0.evil.example",
    "localhost\n",
    "127.0.0.1\n",
    "local\xadhost",
    "localhost\xa0",
    "loc\u0430lhost",
    "localho\u017ft",  # folds to an s where case is ignored by Unicode's rules
    "\xff",
    "%6cocalhost",
    "localhost%00",
    "*",
    "null",
]


@pytest.mark.parametrize("host", LOCAL)
def test_without_keys_a_loopback_name_is_let_in(host: str) -> None:
    assert admit(Guard(AuthConfig()), scope(host=host)).name is None


@pytest.mark.parametrize("host", [*FOREIGN, None])
@pytest.mark.parametrize("path", ["/v1/models", "/nexus/state", "/health", "/docs"])
def test_without_keys_any_other_name_is_refused_everywhere(host: str | None, path: str) -> None:
    with pytest.raises(PermissionDeniedError):
        admit(Guard(AuthConfig()), scope(path, host=host))


@pytest.mark.parametrize("host", [*LOCAL, *FOREIGN])
def test_any_host_asks_from_here_by_the_same_names(host: str) -> None:
    asked = {**scope("/health", host=host), "client": ("127.0.0.1", 5)}

    assert auth.is_from_here(asked) is (host in LOCAL)


@pytest.mark.parametrize("host", FOREIGN)
def test_with_keys_no_host_matters(host: str) -> None:
    guard = Guard(AuthConfig(api_keys=KEYS))

    assert admit(guard, scope(host=host, x_api_key="ka")).name == "alice"


@pytest.mark.parametrize(
    ("client", "host", "headers", "is_from_here"),
    [
        (("127.0.0.1", 5), "localhost:8000", {}, True),
        (("::1", 5), "[::1]:8000", {}, True),
        (("10.0.0.9", 5), "127.0.0.1:8000", {}, False),
        (("127.0.0.1", 5), "llm.example", {}, False),
        (("127.0.0.1", 5), None, {}, False),
        (("::ffff:10.0.0.9", 5), "localhost", {}, False),
        (("127.0.0.1", 5), "127.0.0.1:8000", {"x_forwarded_for": "10.0.0.9"}, False),
        (("127.0.0.1", 5), "127.0.0.1:8000", {"forwarded": "for=10.0.0.9"}, False),
        (None, "localhost", {}, False),
    ],
)
def test_who_asks_from_this_machine(
    client: tuple[str, int] | None, host: str | None, headers: dict[str, str], is_from_here: bool
) -> None:
    asked = {**scope("/health", host=host, **headers), "client": client}

    assert auth.is_from_here(asked) is is_from_here


@pytest.mark.parametrize("keys", [(), KEYS])
@pytest.mark.parametrize("hosts", [(b"localhost", b"localhost"), (b"localhost", b"evil.example")])
@pytest.mark.parametrize("path", ["/v1/models", "/nexus/state", "/health", "/docs"])
def test_two_hosts_are_no_request(
    keys: tuple[ClientKey, ...], hosts: tuple[bytes, ...], path: str
) -> None:
    """RFC 9112 section 3.2: what is in front of us may have read the other one."""
    headers = [(b"x-api-key", b"ka"), *((b"host", host) for host in hosts)]

    with pytest.raises(InvalidRequestError) as refused:
        admit(Guard(AuthConfig(api_keys=keys)), {"path": path, "headers": headers})

    assert refused.value.param == "Host"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("localhost:8000", "https://localhost:8000"),  # something in front speaks TLS
        ("LOCALHOST:8000", "http://localhost:8000"),
        ("localhost", "HTTP://LocalHost"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_without_keys_its_own_pages_are_let_in(host: str, origin: str) -> None:
    assert admit(Guard(AuthConfig()), scope(host=host, origin=origin)).name is None


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "NULL",
        "*",
        "localhost:8000",
        "//localhost:8000",
        "http:localhost:8000",
        "http:/localhost:8000",
        "http://localhost",
        "http://localhost:3000",
        "http://localhost:80000",
        "http://localhost:99999999999999",
        "http://localhost:8000/",
        "http://localhost:8000/x",
        "http://localhost:8000?x",
        "http://localhost:8000#x",
        "http://localhost:8000 ",
        "http://localhost:8000, http://evil.example",
        "http://evil.example, http://localhost:8000",
        "http://localhost:8000 http://evil.example",
        "http://localhost:8000.evil.example",
        "http://a@localhost:8000",
        "http://localhost:8000@evil.example",
        "http://evil.example",
        "http://127.0.0.1:8000",  # the same machine, but not the page's own name
        "ftp://localhost:8000",
        "file://localhost:8000",
        "file://",
        "chrome-extension://abcdef",
        "http://[::1",
        "http://[::1]x",
        "http://[::1%eth0]:8000",
        "http://[v1.x]",
        "http://[x]",
        "http://]",
        "http://\xff",
        "http://\u2100@x",
        "http://\uff0f",
        "\0",
        "http://localhost:8000\0",
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/nexus/state", "/health"])
def test_without_keys_no_other_origin_is_let_in(origin: str, path: str) -> None:
    with pytest.raises(PermissionDeniedError):
        admit(Guard(AuthConfig()), scope(path, origin=origin))


def test_of_two_origins_neither_may_be_foreign() -> None:
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"null")]

    with pytest.raises(PermissionDeniedError):
        admit(Guard(AuthConfig()), {"path": "/v1/models", "headers": headers})


@pytest.mark.parametrize(
    ("site", "is_let_in"),
    [("same-origin", True), ("none", True), ("cross-site", False), ("same-site", False)],
)
def test_where_a_browser_says_that_a_request_is_from(site: str, is_let_in: bool) -> None:
    guard = Guard(AuthConfig())

    if is_let_in:
        admit(guard, scope(sec_fetch_site=site))
    else:
        with pytest.raises(PermissionDeniedError):
            admit(guard, scope(sec_fetch_site=site))


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"authorization": "Bearer ka"}, "alice"),
        ({"authorization": "bearer kb"}, "key-2"),
        ({"x_api_key": "ka"}, "alice"),
    ],
)
def test_a_known_key_is_let_in_by_its_name_from_anywhere(
    headers: dict[str, str], name: str
) -> None:
    guard = Guard(AuthConfig(api_keys=KEYS))

    assert admit(guard, scope(host="nexus.lan", origin="http://x.example", **headers)).name == name


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer k"},
        {"authorization": "Bearer kaa"},
        {"authorization": "Bearer"},
        {"authorization": "Basic ka"},
        {"authorization": "Basic x", "x_api_key": "ka"},
        {"authorization": "Bearer \xff"},
        {"x_api_key": ""},
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/nexus/state", "/docs", "/healthz", "/health/"])
def test_no_or_a_wrong_key_is_refused(headers: dict[str, str], path: str) -> None:
    with pytest.raises(AuthenticationError):
        admit(Guard(AuthConfig(api_keys=KEYS)), scope(path, **headers))


def test_health_needs_no_key() -> None:
    assert admit(Guard(AuthConfig(api_keys=KEYS)), scope("/health")).name is None


def test_the_admin_key_alone_opens_the_control_api() -> None:
    guard = Guard(AuthConfig(api_keys=KEYS, admin_key=b"root"))

    assert admit(guard, scope("/nexus/state", authorization="Bearer root")).name == "admin"
    with pytest.raises(PermissionDeniedError):
        admit(guard, scope("/nexus/state", authorization="Bearer ka"))
    with pytest.raises(AuthenticationError):
        admit(guard, scope("/nexus/state", authorization="Bearer nobody"))
    with pytest.raises(AuthenticationError):
        admit(guard, scope("/nexus"))
    with pytest.raises(PermissionDeniedError):
        admit(guard, scope("/v1/models", authorization="Bearer root"))


def test_an_admin_key_without_client_keys_leaves_the_data_plane_to_loopback() -> None:
    guard = Guard(AuthConfig(admin_key=b"root"))

    admit(guard, scope("/v1/models"))
    with pytest.raises(AuthenticationError):
        admit(guard, scope("/nexus/state"))
