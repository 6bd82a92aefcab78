"""A whole Nexus in a thread of its own, asked by a property: one for all of its examples."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import httpx

from nexus_core.config.schema import BackendConfig
from tests.contract.scripted_upstream import Script, ScriptedUpstream
from tests.scenarios.nexus import Nexus, running, upstreams

_ANSWER_SECONDS = 20
_ALL_SECONDS = 1e6  # of the loop, whose clock tests put ahead


class Beside:
    """The Nexus and its upstreams; each call waits for its end in the other thread."""

    def __init__(
        self, nexus: Nexus, ups: Sequence[ScriptedUpstream], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.nexus = nexus
        self.ups = ups
        self._loop = loop

    def call(self, do: Callable[[], object]) -> None:
        """Do something in the other thread."""

        async def done() -> None:
            do()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(_ANSWER_SECONDS)

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        """Ask, and read the whole answer."""
        given = {"content-type": "application/json", **(headers or {})}
        asked = self.nexus.http.post(path, content=body, headers=given)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(_ANSWER_SECONDS)


@contextmanager
def beside(
    scripts: Sequence[Script], configured: Callable[..., Sequence[BackendConfig]], **sections: Any
) -> Iterator[Beside]:
    """Serve for the block.

    Args:
        configured: makes the backends of the upstreams' addresses.
    """
    begun: Future[Beside] = Future()
    stop: list[asyncio.Event] = []

    async def serve() -> None:
        ending = asyncio.Event()
        stop.append(ending)
        async with (
            upstreams(*scripts) as ups,
            running(
                *configured(*(up.url for up in ups)), within_seconds=_ALL_SECONDS, **sections
            ) as nexus,
        ):
            begun.set_result(Beside(nexus, ups, asyncio.get_running_loop()))
            await ending.wait()

    ended: Future[None] = Future()

    def run() -> None:
        try:
            asyncio.run(serve())
            ended.set_result(None)
        except BaseException as failure:  # noqa: BLE001 - handed to the test's own thread
            ended.set_exception(failure)
            if not begun.done():
                begun.set_exception(failure)

    thread = threading.Thread(target=run, name="nexus")
    thread.start()
    try:
        one = begun.result(_ANSWER_SECONDS)
        try:
            yield one
        finally:
            one._loop.call_soon_threadsafe(stop[0].set)
    finally:
        thread.join(_ANSWER_SECONDS)
    ended.result(0)
