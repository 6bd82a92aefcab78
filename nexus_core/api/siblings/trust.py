"""What worker and supervisor tell each other of a client, in headers of their own sockets."""

from __future__ import annotations

from nexus_core.api.asgi.messages import RawHeaders, Scope

CALLER = b"x-nexus-worker-caller"  # the name of the client's key
CLIENT = b"x-nexus-worker-client"  # its address
ECHO = b"x-nexus-worker-echo"  # another worker has it on record already

_OURS = frozenset({CALLER, CLIENT, ECHO})
# Of one connection, or of a body that is passed on as it was read.
_HOP = frozenset(
    {b"connection", b"content-encoding", b"content-length", b"expect", b"keep-alive"}
    | {b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


def passed_on(headers: RawHeaders) -> RawHeaders:
    """A client's headers without those of its connection, and without any that we trust."""
    return [(name, value) for name, value in headers if name not in _HOP and name not in _OURS]


def passed_on_inside(headers: RawHeaders) -> RawHeaders:
    """The headers that a worker passed on, for another worker."""
    return [(name, value) for name, value in headers if name not in _HOP]


def answered(headers: RawHeaders) -> RawHeaders:
    """An answer's headers without those of its connection."""
    return [(name, value) for name, value in headers if name not in _HOP]


def named(scope: Scope, caller: str | None) -> RawHeaders:
    """Who asked, for the other end."""
    client = scope.get("client")
    told = [] if client is None else [(CLIENT, str(client[0]).encode("latin-1", "replace"))]
    return told if caller is None else [*told, (CALLER, caller.encode("latin-1", "replace"))]


def value_of(headers: RawHeaders, name: bytes) -> str | None:
    """The first header of this name."""
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
