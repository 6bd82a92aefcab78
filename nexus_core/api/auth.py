"""Who may call: client and admin keys; without keys, loopback names and own origins only."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nexus_core.api.asgi.messages import Scope, header, header_values
from nexus_core.config.loopback import is_loopback
from nexus_core.config.schema import AuthConfig, ClientKey
from nexus_core.errors import AuthenticationError, InvalidRequestError, PermissionDeniedError

_OPEN_PATH = "/health"
_ADMIN_PREFIX = "/nexus"
_PASSED_ON = (b"forwarded", b"x-forwarded-for", b"via")  # what proxies add

# Exactly the names that can't lead elsewhere, and a port. Nothing is decoded, folded or completed:
# what reads a name more generously than a browser does (127.1, [::1%lo], localhost.) is a hole.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LOCAL_HOST = re.compile(
    rf"(?:localhost|127(?:\.{_OCTET}){{3}}|\[::1\])(?::([0-9]{{0,5}}))?", re.I | re.A
)
_MAX_PORT = 65535
_FOREIGN_SITES = frozenset({"cross-site", "same-site"})


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
            InvalidRequestError: there are two Hosts.
        """
        path: str = scope["path"]
        hosts = header_values(scope, b"host")
        if len(hosts) > 1:
            raise InvalidRequestError("duplicate Host header", param="Host")
        if not self._clients:
            _check_local(scope, hosts[0] if hosts else "")
        if path == _OPEN_PATH:
            return Caller(None)
        if _is_admin(path):
            return self._check_key(scope, self._admins, self._clients)
        return self._check_key(scope, self._clients, self._admins)

    def _check_key(
        self, scope: Scope, allowed: tuple[ClientKey, ...], elsewhere: tuple[ClientKey, ...]
    ) -> Caller:
        if not allowed:
            return Caller(None)
        presented = _presented(scope)
        if presented is None:
            raise AuthenticationError("missing client key; send it as Authorization: Bearer KEY")
        name = _match(presented, allowed)
        if name is not None:
            return Caller(name)
        if _match(presented, elsewhere) is not None:
            raise PermissionDeniedError(
                "wrong key for this path: /nexus/* requires the admin key, the rest client keys"
            )
        raise AuthenticationError("invalid client key")


def needs_key(path: str, auth: AuthConfig) -> bool:
    """Whether the guard asks for one there."""
    is_set = bool(auth.api_keys) or (bool(auth.admin_key) and _is_admin(path))
    return is_set and path != _OPEN_PATH


def refusals(path: str, auth: AuthConfig) -> tuple[int, ...]:
    """The statuses with which the guard may turn a request away there, two Hosts aside."""
    if needs_key(path, auth):
        has_other_keys = auth.admin_key is not None
        return (401, 403) if has_other_keys else (401,)
    return () if auth.api_keys else (403,)


def _is_admin(path: str) -> bool:
    return path == _ADMIN_PREFIX or path.startswith(_ADMIN_PREFIX + "/")


def is_from_here(scope: Scope) -> bool:
    """Whether a program of this machine asks, and asks this machine: not through a proxy."""
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


def _check_local(scope: Scope, host: str) -> None:
    """Without keys the browser is the danger: DNS rebinding and cross-site posts."""
    if not _is_local(host):
        raise PermissionDeniedError(
            "Host must be 127.0.0.1, localhost or [::1] until client keys are configured "
            "(NEXUS_API_KEYS)"
        )
    own = (f"http://{host}".lower(), f"https://{host}".lower())
    for origin in header_values(scope, b"origin"):
        if origin.lower() not in own:
            raise PermissionDeniedError(
                "requests from other web pages are refused until client keys are configured "
                "(NEXUS_API_KEYS)"
            )
    if not _FOREIGN_SITES.isdisjoint(header_values(scope, b"sec-fetch-site")):
        raise PermissionDeniedError("requests from other web pages are refused")


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine and nothing else."""
    found = _LOCAL_HOST.fullmatch(host)
    return found is not None and int(found[1] or 0) <= _MAX_PORT
