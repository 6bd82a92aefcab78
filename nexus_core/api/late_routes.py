"""Routes that are imported and built when the first of them is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nexus_core import descriptors
from nexus_core.api.asgi.messages import Scope
from nexus_core.background import load_in_background
from nexus_core.gateway import Gateway

if TYPE_CHECKING:
    from fastapi import FastAPI

_OPENED_AT_ONCE = 8  # by an import: a folder, a module, a library; with room for other requests


class LateRoutes:
    """The FastAPI application of all routes off the hot path.

    Importing and building it takes a fifth of a second, a third of a start, and 20 MB; whoever
    only sends inference requests never needs it.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._app: FastAPI | None = None
        self._loading = asyncio.Lock()

    async def app(self) -> FastAPI:
        """The application; the first call waits until a thread has made it.

        Raises:
            OSError, ImportError: there was no file descriptor left to import it with. The next
                call tries again.
        """
        if self._app is None:
            async with self._loading:
                if self._app is None:
                    self._app = await load_in_background(self._make)
        return self._app

    async def serves(self, scope: Scope) -> bool:
        """Whether there is a route for the method and path of a request."""
        return _has_route(await self.app(), scope)

    def _make(self) -> FastAPI:
        descriptors.require(_OPENED_AT_ONCE)
        from nexus_core.api.routes import create_app

        app = create_app(self._gateway)
        _has_route(app, _NOWHERE)  # each route is completed when it is first compared with a path
        return app


_NOWHERE: Scope = {"type": "http", "method": "GET", "path": "/-", "root_path": "", "headers": []}


def _has_route(app: FastAPI, scope: Scope) -> bool:
    from starlette.routing import Match

    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)
