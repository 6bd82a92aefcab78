"""The dashboard and the real proxy in one loop, with real sockets and the official client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import openai

from nexus_core.api.server import bind, serve
from nexus_core.config import BackendConfig, Config
from nexus_core.demo.simulated import FULL_SPEED, Behaviour, SimulatedServer
from nexus_core.gateway import Gateway
from nexus_core.types import BackendType, PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.source import LocalSource
from tests.tui.screen import screen_text, until


@dataclass
class Live:
    app: NexusApp
    gateway: Gateway
    client: openai.AsyncOpenAI

    async def ask(self) -> str | None:
        """Ask once; gives the backend that answered."""
        raw = await self.client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": "hi"}]
        )
        return raw.headers.get("x-nexus-backend")


@asynccontextmanager
async def live() -> AsyncIterator[Live]:
    """Two simulated backends behind a running Nexus; `first` is preferred."""
    behaviour = Behaviour(models=("m",))
    async with (
        SimulatedServer(behaviour, random=Random(1), speed=FULL_SPEED) as first,
        SimulatedServer(behaviour, random=Random(2), speed=FULL_SPEED) as second,
    ):
        gateway = Gateway(
            Config(
                backends=tuple(
                    BackendConfig(
                        name=name,
                        url=server.url,
                        type=BackendType.VLLM,
                        zone=PrivacyZone.RESTRICTED,
                        priority=priority,
                        models={"m": "m"},
                    )
                    for name, server, priority in (("first", first, 100), ("second", second, 0))
                )
            )
        )
        listener = bind("127.0.0.1", 0)
        address = "127.0.0.1:{1}".format(*listener.getsockname())
        app = NexusApp(LocalSource(gateway, address))
        stop, ready = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(gateway, listener, stop=stop, ready=ready))
            await ready.wait()
            client = openai.AsyncOpenAI(base_url=f"http://{address}/v1", api_key="x", max_retries=0)
            async with client:
                yield Live(app, gateway, client)
            stop.set()


async def test_space_on_a_backend_sends_the_next_request_elsewhere() -> None:
    async with live() as nexus, nexus.app.run_test(size=(120, 36)) as pilot:
        assert await nexus.ask() == "first"

        await pilot.press("3", "space")
        await until(lambda: "○ off" in screen_text(nexus.app))
        assert await nexus.ask() == "second"

        await pilot.press("space")
        await until(lambda: "○ off" not in screen_text(nexus.app))
        assert await nexus.ask() == "first"


async def test_a_real_request_is_on_the_screen_with_its_backend() -> None:
    async with live() as nexus, nexus.app.run_test(size=(120, 36)):
        await nexus.ask()

        await until(lambda: "requests 1 " in screen_text(nexus.app))
        await until(lambda: "capability-match" in screen_text(nexus.app))
