"""A client that calls the front door itself, without a socket."""

from __future__ import annotations

import httpx

from nexus_core.api.app import FrontDoor
from nexus_core.gateway import Gateway


def client(gateway: Gateway) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(FrontDoor(gateway))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")
