"""Who calls the control API: the key's name, the address, and whether it is a dashboard."""

from __future__ import annotations

from fastapi import Request

from nexus_core.api.asgi.messages import CALLER
from nexus_core.control.actions import dashboard_session
from nexus_core.types import Actor, Via


def actor_of(request: Request) -> Actor:
    """Who sends a request: the name of its key and its address, as this server sees them."""
    session = dashboard_session(request.headers.get("user-agent", ""))
    return Actor(
        via=Via.API if session is None else Via.ATTACHED,
        name=request.scope.get(CALLER),
        address=None if request.client is None else request.client.host,
        session=session,
    )
