"""The listen address as text, and reasons why it can't be used."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from nexus_tui.commands.base.target import local_url

if TYPE_CHECKING:
    from nexus_tui.commands.base.listener import Listener

_TRIED_PORTS = 20


def address(host: str, port: int) -> str:
    """`127.0.0.1:8000`, `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_not_bound(error: OSError, host: str, port: int) -> str:
    """Reason why an address can't be bound, with a hint."""
    place = address(host, port)
    if isinstance(error, socket.gaierror):
        return f"{place}: unknown host; choose another with --host"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{place} is in use{_by_whom(host, port)}"
        case errno.EACCES | errno.EPERM:
            return f"{place}: permission denied; choose a port above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{place} is not an address of this machine; choose another with --host"
        case _:
            return f"{place} can't be used: {error.strerror}"


def _by_whom(host: str, port: int) -> str:
    from nexus_tui.commands.base.listener import who_answers

    url = local_url(host, port)
    found = who_answers(url, 1)
    if found.kind == "nexus":
        free = _free_port_after(host, port)
        other = "another port with --port" if free is None else f"--port {free}"
        return f" by another Nexus{_identity(found)}. Attach: nexus attach {url}  or  {other}"
    is_other = found.kind == "stranger" and not found.is_silent
    what = " by a server other than Nexus" if is_other else ""
    return f"{what}; choose another with --port, or stop that server"


def _identity(found: Listener) -> str:
    """Version and process id of the other Nexus, in parentheses; "" if it reports neither."""
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
