"""Authentication: client and admin keys; without keys, loopback hosts and own origins only."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import msgspec

from nexus_core.api.asgi.messages import RawHeaders, Scope, header, header_values
from nexus_core.config.loopback import is_loopback
from nexus_core.config.schema import AuthConfig, ClientKey
from nexus_core.errors import AuthenticationError, InvalidRequestError, PermissionDeniedError

if TYPE_CHECKING:
    from nexus_core.keys.held import HeldKey
    from nexus_core.keys.table import KeyTable

_OPEN_PATH = "/health"
_ADMIN_PREFIX = "/nexus"
_KEY_HEADERS = frozenset({b"x-api-key", b"x-goog-api-key"})  # of Anthropic's and Google's clients
_PASSED_ON = (b"forwarded", b"x-forwarded-for", b"via")  # what proxies add

# Exactly the names that can't lead elsewhere, and a port. Nothing is decoded, folded or completed:
# what reads a name more generously than a browser does (127.1, [::1%lo], localhost.) is a hole.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LOCAL_HOST = re.compile(
    rf"(?:localhost|127(?:\.{_OCTET}){{3}}|\[::1\])(?::([0-9]{{0,5}}))?", re.I | re.A
)
_FROM_WHERE = frozenset({b"host", b"origin", b"sec-fetch-site"})
_MAX_PORT = 65535
_LONGEST_LOCAL = len("127.255.255.255:65535")
_FOREIGN_SITES = frozenset({b"cross-site", b"same-site"})


class Caller(msgspec.Struct, frozen=True):
    """An authenticated caller."""

    name: str | None  # of the client key; None where none is needed
    key: HeldKey | None = None  # a created or limited one


_NAMELESS = Caller(None)


class CreatedKeys(Protocol):
    """Where created keys are found."""

    @property
    def table(self) -> KeyTable | None:
        """None: there are none."""
        ...

    @property
    def limited(self) -> Mapping[str, HeldKey]:
        """Keys of the environment that have limits, by name."""
        ...


class _NoKeys:
    table = None
    limited: Mapping[str, HeldKey] = {}


NO_CREATED_KEYS: CreatedKeys = _NoKeys()


class Guard:
    """Authentication of requests, before their body is read."""

    def __init__(self, auth: AuthConfig, created: CreatedKeys = NO_CREATED_KEYS) -> None:
        self._created = created
        self._clients = auth.api_keys
        admin = auth.admin_key
        self._admins = (ClientKey(name="admin", value=admin),) if admin else self._clients
        self._is_keyless = not self._clients and not self._admins

    def admit(self, path: str, headers: RawHeaders) -> Caller:
        """Let a request in.

        Args:
            path: that is routed by: what a URL rebuilt from the Host header says is the client's
                to choose.
            headers: with lower-case names.

        Raises:
            AuthenticationError: a key is needed, and there is none or a wrong one.
            PermissionDeniedError: the key, the Host or the Origin is not for this surface.
            InvalidRequestError: there are two Hosts.
        """
        told = [pair for pair in headers if pair[0] in _FROM_WHERE]
        hosts = [value for name, value in told if name == b"host"]
        if len(hosts) > 1:
            raise InvalidRequestError("duplicate Host header", param="Host")
        if not self._clients:
            _check_local(hosts[0].decode("latin-1") if hosts else "", told)
        created = self._created.table
        if path == _OPEN_PATH or (self._is_keyless and created is None):
            return _NAMELESS
        allowed, elsewhere = self._clients, self._admins
        if _is_admin(path):
            allowed, elsewhere = elsewhere, allowed
        elif created is not None or self._created.limited:
            return self._admit_client(headers, created)
        if not allowed:
            return _NAMELESS
        try:
            return _check_key(headers, allowed, elsewhere)
        except AuthenticationError:
            if created is not None and _find_created(headers, created) is not None:
                raise _wrong_surface() from None
            raise

    def _admit_client(self, headers: RawHeaders, created: KeyTable | None) -> Caller:
        """Let in a client where a key may have limits."""
        if created is not None:
            key = _find_created(headers, created)
            if key is not None:
                return Caller(key.name, key)
            is_optional = created.is_optional and not self._clients
            if is_optional and _presented(headers) is None:
                return _NAMELESS
        caller = _check_key(headers, self._clients, self._admins)
        limited = self._created.limited.get(caller.name or "")
        return caller if limited is None else Caller(caller.name, limited)


def _check_key(
    headers: RawHeaders, allowed: tuple[ClientKey, ...], elsewhere: tuple[ClientKey, ...]
) -> Caller:
    presented = _presented(headers)
    if presented is None:
        raise AuthenticationError("missing client key; send it as Authorization: Bearer KEY")
    name = _match(presented, allowed)
    if name is not None:
        return Caller(name)
    if _match(presented, elsewhere) is not None:
        raise _wrong_surface()
    raise AuthenticationError("invalid client key")


def _find_created(headers: RawHeaders, created: KeyTable) -> HeldKey | None:
    presented = _presented(headers)
    return None if presented is None else created.find(presented)


def _wrong_surface() -> PermissionDeniedError:
    return PermissionDeniedError(
        "wrong key for this path: /nexus/* requires the admin key, the rest client keys"
    )


def needs_key(path: str, auth: AuthConfig) -> bool:
    """Whether the path requires a key."""
    is_set = bool(auth.api_keys) or (bool(auth.admin_key) and _is_admin(path))
    return is_set and path != _OPEN_PATH


def refusals(path: str, auth: AuthConfig) -> tuple[int, ...]:
    """Statuses of refused authentication on a path, except for duplicate Host headers."""
    if needs_key(path, auth):
        has_other_keys = auth.admin_key is not None
        return (401, 403) if has_other_keys else (401,)
    return () if auth.api_keys else (403,)


def _is_admin(path: str) -> bool:
    return path == _ADMIN_PREFIX or path.startswith(_ADMIN_PREFIX + "/")


def is_from_here(scope: Scope) -> bool:
    """Whether the client is a program on this machine and not behind a proxy."""
    client = scope.get("client")
    hosts = header_values(scope, b"host")
    is_passed_on = any(header(scope, name) is not None for name in _PASSED_ON)
    return (
        client is not None
        and is_loopback(client[0])
        and len(hosts) == 1
        and _is_local(hosts[0])
        and not is_passed_on
    )


def _presented(headers: RawHeaders) -> bytes | None:
    key = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, bearer = value.partition(b" ")
            return bearer.strip() if scheme.lower() == b"bearer" else None
        if name in _KEY_HEADERS and key is None:
            key = value.strip()
    return key


def _match(presented: bytes, keys: Iterable[ClientKey]) -> str | None:
    """The key's name; every key is compared, so that the time tells nothing."""
    found = None
    for key in keys:
        if hmac.compare_digest(presented, key.value):
            found = key.name
    return found


def _check_local(host: str, told: RawHeaders) -> None:
    """Without keys the browser is the danger: DNS rebinding and cross-site posts.

    Args:
        told: the headers of _FROM_WHERE.
    """
    if not _is_local(host):
        raise PermissionDeniedError(
            "Host must be 127.0.0.1, localhost or [::1] until client keys are configured "
            "(NEXUS_API_KEYS)"
        )
    if len(told) == 1:
        return  # the Host
    own = (f"http://{host}".lower(), f"https://{host}".lower())
    for name, value in told:
        if name == b"origin" and value.decode("latin-1").lower() not in own:
            raise PermissionDeniedError(
                "requests from other web pages are refused until client keys are configured "
                "(NEXUS_API_KEYS)"
            )
    for name, value in told:
        if name == b"sec-fetch-site" and value in _FOREIGN_SITES:
            raise PermissionDeniedError("requests from other web pages are refused")


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine and nothing else."""
    return len(host) <= _LONGEST_LOCAL and _names_this_machine(host)


@lru_cache(maxsize=64)
def _names_this_machine(host: str) -> bool:
    found = _LOCAL_HOST.fullmatch(host)
    return found is not None and int(found[1] or 0) <= _MAX_PORT
