"""The address that Nexus listens on, in words; and why it can't be used."""

from __future__ import annotations

import errno
import socket

from nexus_tui.client import local_url, what_answers


def address(host: str, port: int) -> str:
    """`127.0.0.1:8000`, `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_not_bound(error: OSError, host: str, port: int) -> str:
    """What is in the way, and the mend."""
    place = address(host, port)
    if isinstance(error, socket.gaierror):
        return f"{place}: the host is not known; choose another with --host"
    match error.errno:
        case errno.EADDRINUSE:
            found = what_answers(local_url(host, port), 1)
            owner = " by another Nexus" if found == "nexus" else ""
            mend = "choose another with --port, or stop what listens there"
            return f"{place} is in use{owner}; {mend}"
        case errno.EACCES | errno.EPERM:
            return f"{place} is not allowed to this user; choose a port above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{place} is not an address of this machine; choose another with --host"
    return f"{place} can't be used: {error.strerror}"
