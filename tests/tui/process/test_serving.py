"""The server beside the screen dies, and is started again by its user."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from nexus_core.api.listen.server import bind
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, HealthCheckConfig
from nexus_core.control.commands import SetTier, SwitchBackend
from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.process.serving import ServerTask
from nexus_tui.sources.local import LocalSource
from tests.operators import OPERATOR
from tests.tui.screen import screen_text
from tests.waiting import until

CONFIG = Config(
    backends=(
        BackendConfig(
            name="cloud",
            url="http://127.0.0.1:9",
            type=BackendType.OPENAI,
            zone=PrivacyZone.OPEN,
            models={"m": "m"},
        ),
    ),
    health_check=HealthCheckConfig(enabled=False),
)
FOUND = BackendConfig(
    name="found",
    url="http://127.0.0.1:9/found",
    type=BackendType.VLLM,
    zone=PrivacyZone.RESTRICTED,
    models={"f": "f"},
)


class Death:
    """Lets the first `serve` die when told; later ones live."""

    def __init__(self) -> None:
        self.now = asyncio.Event()
        self._has_come = False

    def around(self, run: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def health_run(*arguments: object) -> None:
            if self._has_come:
                await run(*arguments)
                return
            await self.now.wait()
            self._has_come = True
            raise OSError("the disk is on fire")

        return health_run


async def endless(*_: object) -> None:
    await asyncio.Event().wait()


async def answers(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/health")
        except httpx.TransportError:
            return False
    return answer.status_code in (200, 503)


async def test_a_server_that_died_serves_again_and_keeps_its_zone_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    death = Death()
    monkeypatch.setattr("nexus_core.fleet.health.HealthChecks.run", death.around(endless))
    stop, ready = asyncio.Event(), asyncio.Event()
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = ServerTask(CONFIG, listener, stop)
    source = LocalSource(server.gateway, f"127.0.0.1:{port}")
    server.watch_with(source)
    app = NexusApp(source, server=server)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run(ready))
        await ready.wait()
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("!")
            await until(lambda: "OPEN ZONE CUT" in screen_text(app))
            server.gateway.live.add_backend(FOUND)
            await server.gateway.operator.execute(
                SwitchBackend(backend="found", enabled=False), OPERATOR
            )
            await server.gateway.operator.execute(SetTier(backend="cloud", tier=4), OPERATOR)
            ready.clear()
            death.now.set()
            await until(lambda: "SERVER STOPPED: OSError" in screen_text(app))
            assert not await answers(port)
            first = server.gateway

            await pilot.press("R")
            await until(lambda: "SERVER STOPPED" not in screen_text(app))
            await until(ready.is_set)
            assert await answers(port)
            assert server.gateway is not first
            assert not source.is_zone_enabled(PrivacyZone.OPEN)
            assert "OPEN ZONE CUT" in screen_text(app)
            backends = {one.name: one for one in source.backends()}
            assert backends["cloud"].tier == 4
            assert (backends["found"].enabled, dict(backends["found"].models)) == (
                False,
                {"f": "f"},
            )
        stop.set()


async def test_without_a_screen_a_death_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    death = Death()
    monkeypatch.setattr("nexus_core.fleet.health.HealthChecks.run", death.around(endless))
    server = ServerTask(CONFIG, bind("127.0.0.1", 0), asyncio.Event())
    ready = asyncio.Event()

    death.now.set()
    with pytest.raises(ExceptionGroup):
        await server.run(ready)


async def test_quitting_ends_a_server_that_died(monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(*_: object, **__: object) -> None:
        raise OSError("at once")

    monkeypatch.setattr("nexus_tui.process.serving.serve", die)
    stop = asyncio.Event()
    with bind("127.0.0.1", 0) as listener:
        server = ServerTask(CONFIG, listener, stop)
    server.watch_with(LocalSource(server.gateway))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run(asyncio.Event()))
        await until(lambda: server.problem is not None)
        stop.set()

    assert server.problem == "OSError; the log (6) has the traceback"
