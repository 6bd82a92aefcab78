"""A gateway that really serves, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nexus_core.api.listen.server import bind, serve
from nexus_core.gateway import Gateway
from tests.waiting import pass_time, settled


@asynccontextmanager
async def served(gateway: Gateway, port: int = 0) -> AsyncIterator[str]:
    """Its URL while it serves and has looked at its backends; it is drained after the block."""
    listener = bind("127.0.0.1", port)
    host, port = listener.getsockname()
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(gateway, listener, stop=stop, ready=ready))
        await ready.wait()
        await gateway.health.first_round()
        try:
            yield f"http://{host}:{port}"
        finally:
            await end(stop)


async def end(stop: asyncio.Event) -> None:
    """Stop a server without the tenths of a second that uvicorn takes for each step of it."""
    stop.set()
    for _ in range(3):
        await settled()
        pass_time(0.1)
