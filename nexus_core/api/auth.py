"""Who may call: client and admin keys; without keys, loopback names and own origins only."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from nexus_core.api.asgi import Scope, header, header_values
from nexus_core.config import AuthConfig, ClientKey
from nexus_core.errors import AuthenticationError, PermissionDeniedError
from nexus_core.loopback import is_loopback

_OPEN_PATH = "/health"
_ADMIN_PREFIX = "/nexus"
_PASSED_ON = (b"forwarded", b"x-forwarded-for", b"via")  # what proxies add


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was let in."""

    name: str | None  # of the client key; None where none is needed


class Guard:
    """Decides at the door, before a body is read."""

    def __init__(self, auth: AuthConfig) -> None:
        self._clients = auth.api_keys
        admin = auth.admin_key
        self._admins = (ClientKey(name="admin", value=admin),) if admin else self._clients

    def admit(self, scope: Scope) -> Caller:
        """Let a request in.

        The path is the one that is routed by: what a URL rebuilt from the Host header says is the
        client's to choose.

        Raises:
            AuthenticationError: a key is needed, and there is none or a wrong one.
            PermissionDeniedError: the key, the Host or the Origin is not for this surface.
        """
        path: str = scope["path"]
        if not self._clients:
            _check_local(scope)
        if path == _OPEN_PATH:
            return Caller(None)
        if path == _ADMIN_PREFIX or path.startswith(_ADMIN_PREFIX + "/"):
            return self._check_key(scope, self._admins, self._clients)
        return self._check_key(scope, self._clients, self._admins)

    def _check_key(
        self, scope: Scope, allowed: tuple[ClientKey, ...], elsewhere: tuple[ClientKey, ...]
    ) -> Caller:
        if not allowed:
            return Caller(None)
        presented = _presented(scope)
        if presented is None:
            raise AuthenticationError(
                "a client key is needed: send it as Authorization: Bearer KEY"
            )
        name = _match(presented, allowed)
        if name is not None:
            return Caller(name)
        if _match(presented, elsewhere) is not None:
            raise PermissionDeniedError(
                "this key is not for this path: /nexus/* takes the admin key, the rest client keys"
            )
        raise AuthenticationError("the client key is not known here")


def is_from_here(scope: Scope) -> bool:
    """Whether a program of this machine asks, and asks this machine: not through a proxy."""
    client = scope.get("client")
    hosts = header_values(scope, b"host")
    is_passed_on = any(header(scope, name) is not None for name in _PASSED_ON)
    return (
        client is not None
        and is_loopback(client[0])
        and len(hosts) == 1
        and is_loopback(_host_name(hosts[0]))
        and not is_passed_on
    )


def _presented(scope: Scope) -> bytes | None:
    bearer = header(scope, b"authorization")
    if bearer is not None:
        scheme, _, value = bearer.partition(" ")
        return value.strip().encode("latin-1") if scheme.lower() == "bearer" else None
    key = header(scope, b"x-api-key")
    return None if key is None else key.strip().encode("latin-1")


def _match(presented: bytes, keys: Iterable[ClientKey]) -> str | None:
    """The key's name; every key is compared, so that the time tells nothing."""
    found = None
    for key in keys:
        if hmac.compare_digest(presented, key.value):
            found = key.name
    return found


def _check_local(scope: Scope) -> None:
    """Without keys the browser is the danger: DNS rebinding and cross-site posts."""
    hosts = header_values(scope, b"host")
    if len(hosts) != 1 or not is_loopback(_host_name(hosts[0])):
        raise PermissionDeniedError(
            "without client keys only 127.0.0.1, localhost or [::1] may stand in Host; "
            "set NEXUS_API_KEYS to serve other names"
        )
    for origin in header_values(scope, b"origin"):
        if urlsplit(origin).netloc.lower() != hosts[0].lower():
            raise PermissionDeniedError(
                "requests of other web pages are refused; set NEXUS_API_KEYS to let them in"
            )
    if header(scope, b"sec-fetch-site") in ("cross-site", "same-site"):
        raise PermissionDeniedError("requests of other web pages are refused")


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
