import pytest

from nexus_core.api import auth
from nexus_core.api.auth import Guard
from nexus_core.config import AuthConfig, ClientKey
from nexus_core.errors import AuthenticationError, PermissionDeniedError

KEYS = (ClientKey(name="alice", value=b"ka"), ClientKey(name="key-2", value=b"kb"))


def scope(
    path: str = "/v1/models", host: str | None = "localhost:8000", **headers: str
) -> dict[str, object]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if host is not None:
        pairs.append((b"host", host.encode()))
    return {"path": path, "method": "GET", "headers": pairs}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "127.8.8.8", "[::1]:8000", "[::1]"]
)
def test_without_keys_a_loopback_name_is_let_in(host: str) -> None:
    assert Guard(AuthConfig()).admit(scope(host=host)).name is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", None, "10.0.0.1", "[::2]"],
)
@pytest.mark.parametrize("path", ["/v1/models", "/nexus/state", "/health", "/docs"])
def test_without_keys_any_other_name_is_refused_everywhere(host: str | None, path: str) -> None:
    with pytest.raises(PermissionDeniedError):
        Guard(AuthConfig()).admit(scope(path, host=host))


@pytest.mark.parametrize(
    ("client", "host", "headers", "is_from_here"),
    [
        (("127.0.0.1", 5), "localhost:8000", {}, True),
        (("::1", 5), "[::1]:8000", {}, True),
        (("10.0.0.9", 5), "127.0.0.1:8000", {}, False),
        (("127.0.0.1", 5), "llm.example", {}, False),
        (("127.0.0.1", 5), None, {}, False),
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


def test_two_hosts_are_refused() -> None:
    with pytest.raises(PermissionDeniedError):
        Guard(AuthConfig()).admit(
            {"path": "/v1/models", "headers": [(b"host", b"localhost"), (b"host", b"localhost")]}
        )


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ({"origin": "http://localhost:8000"}, True),
        ({"origin": "null"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://localhost:3000"}, False),
        ({"origin": ""}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
    ],
)
def test_without_keys_only_its_own_pages_are_let_in(
    headers: dict[str, str], is_let_in: bool
) -> None:
    guard = Guard(AuthConfig())

    if is_let_in:
        guard.admit(scope(**headers))
    else:
        with pytest.raises(PermissionDeniedError):
            guard.admit(scope(**headers))


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

    assert guard.admit(scope(host="nexus.lan", origin="http://x.example", **headers)).name == name


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
        Guard(AuthConfig(api_keys=KEYS)).admit(scope(path, **headers))


def test_health_needs_no_key() -> None:
    assert Guard(AuthConfig(api_keys=KEYS)).admit(scope("/health")).name is None


def test_the_admin_key_alone_opens_the_control_api() -> None:
    guard = Guard(AuthConfig(api_keys=KEYS, admin_key=b"root"))

    assert guard.admit(scope("/nexus/state", authorization="Bearer root")).name == "admin"
    with pytest.raises(PermissionDeniedError):
        guard.admit(scope("/nexus/state", authorization="Bearer ka"))
    with pytest.raises(AuthenticationError):
        guard.admit(scope("/nexus/state", authorization="Bearer nobody"))
    with pytest.raises(AuthenticationError):
        guard.admit(scope("/nexus"))
    with pytest.raises(PermissionDeniedError):
        guard.admit(scope("/v1/models", authorization="Bearer root"))


def test_an_admin_key_without_client_keys_leaves_the_data_plane_to_loopback() -> None:
    guard = Guard(AuthConfig(admin_key=b"root"))

    guard.admit(scope("/v1/models"))
    with pytest.raises(AuthenticationError):
        guard.admit(scope("/nexus/state"))
