"""Whether a name means this machine and no other, and where a URL leads."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """localhost in any case, 127.0.0.0/8 or ::1; without a port and without brackets."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def endpoint(url: str) -> tuple[str, int]:
    """Host and port of a valid URL; the names of this machine are one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return ("127.0.0.1" if is_loopback(host) else host), port
