"""The address that Nexus listens on, in words; and why it can't be used."""

from __future__ import annotations

import errno
import socket

from nexus_tui.commands.client import Listener, local_url, who_answers

_TRIED_PORTS = 20


def address(host: str, port: int) -> str:
    """`127.0.0.1:8000`, `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_not_bound(error: OSError, host: str, port: int) -> str:
    """What is in the way, and how to fix it."""
    place = address(host, port)
    if isinstance(error, socket.gaierror):
        return f"{place}: the host is not known; choose another with --host"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{place} is in use{_by_whom(host, port)}"
        case errno.EACCES | errno.EPERM:
            return f"{place} is not allowed to this user; choose a port above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{place} is not an address of this machine; choose another with --host"
        case _:
            return f"{place} can't be used: {error.strerror}"


def _by_whom(host: str, port: int) -> str:
    url = local_url(host, port)
    found = who_answers(url, 1)
    if found.kind == "nexus":
        free = _free_port_after(host, port)
        other = "another port with --port" if free is None else f"--port {free}"
        return f" by another Nexus{_told(found)}. Attach: nexus attach {url}  or  {other}"
    is_other = found.kind == "stranger" and not found.is_silent
    what = ", and what answers there is no Nexus" if is_other else ""
    return f"{what}; choose another with --port, or stop what listens there"


def _told(found: Listener) -> str:
    """What the other one tells of itself, which it may not."""
    parts = [found.version, None if found.pid is None else f"pid {found.pid}"]
    text = ", ".join(part for part in parts if part)
    return f" ({text})" if text else ""


def _free_port_after(host: str, port: int) -> int | None:
    """The next port that could be bound just now; None where none of a few could."""
    from nexus_core.api.listen.server import bind

    for candidate in range(port + 1, min(port + 1 + _TRIED_PORTS, 65_536)):
        try:
            bind(host, candidate).close()
        except OSError:
            continue
        return candidate
    return None
