"""A Nexus in a thread of its own: for tests that block, and for tables that would start many."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nexus_core.api.listen import server
from nexus_core.gateway import Gateway


@contextmanager
def in_thread(make: Callable[[], Gateway]) -> Iterator[int]:
    """Its port while it serves; what it raises is raised here when the block is left."""
    listener = server.bind("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    began = threading.Event()
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    failures: list[BaseException] = []

    async def serve() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        handles.append((asyncio.get_running_loop(), stop))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(make(), listener, stop=stop, ready=ready))
            await ready.wait()
            began.set()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as failure:  # noqa: BLE001  handed to the test's own thread
            failures.append(failure)
        finally:
            began.set()

    thread = threading.Thread(target=run, name="nexus")
    thread.start()
    try:
        assert began.wait(10)
        if not failures:
            yield port
    finally:
        loop, stop = handles[0]
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()
    if failures:
        raise failures[0]
