"""Whether a name means this machine and no other."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """localhost in any case, 127.0.0.0/8 or ::1; without a port and without brackets."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
