"""Loopback addresses: recognise host names and endpoints of this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host is loopback: localhost, 127.0.0.0/8 or ::1; no port, no brackets."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def endpoint(url: str) -> tuple[str, int]:
    """Host and port of a valid URL; all loopback names count as one host."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return ("127.0.0.1" if is_loopback(host) else host), port
