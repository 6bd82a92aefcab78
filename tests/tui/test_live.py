"""The dashboard and the real proxy in one loop, with real sockets and the official client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

import openai
import pytest

from nexus_core.api.listen.server import bind, serve
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, PriceConfig, StorageConfig
from nexus_core.demo.simulated import FULL_SPEED, Behaviour, SimulatedServer
from nexus_core.gateway import Gateway
from nexus_core.types import Cost, PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.sources.local import LocalSource
from nexus_tui.text.numbers import dollars
from tests.tui.screen import screen_text
from tests.waiting import until


@dataclass
class Live:
    app: NexusApp
    gateway: Gateway
    client: openai.AsyncOpenAI

    async def ask(self, model: str = "m") -> str | None:
        """Ask once; gives the backend that answered."""
        raw = await self.client.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": "hi"}]
        )
        return raw.headers.get("x-nexus-backend")


def backend(name: str, url: str, kind: BackendType, model: str, *, priority: int) -> BackendConfig:
    zone = PrivacyZone.OPEN if kind.is_cloud else PrivacyZone.RESTRICTED
    return BackendConfig(
        name=name, url=url, type=kind, zone=zone, priority=priority, models={model: model}
    )


@asynccontextmanager
async def live(storage: StorageConfig | None = None) -> AsyncIterator[Live]:
    """Simulated backends behind a running Nexus: of the local ones `first` is preferred."""
    behaviour = Behaviour(models=("m", "cloud-m"))
    async with (
        SimulatedServer(behaviour, random=Random(1), speed=FULL_SPEED) as first,
        SimulatedServer(behaviour, random=Random(2), speed=FULL_SPEED) as second,
        SimulatedServer(behaviour, random=Random(3), speed=FULL_SPEED) as cloud,
    ):
        gateway = Gateway(
            Config(
                backends=(
                    backend("first", first.url, BackendType.VLLM, "m", priority=100),
                    backend("second", second.url, BackendType.VLLM, "m", priority=0),
                    backend("cloud", cloud.url, BackendType.OPENAI, "cloud-m", priority=0),
                ),
                pricing={"openai": {"cloud-m": PriceConfig(input_per_1k=1.0, output_per_1k=2.0)}},
                storage=storage or StorageConfig(path=":memory:"),
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


async def test_the_panic_switch_turns_the_next_cloud_request_away_and_counts_it() -> None:
    async with live() as nexus, nexus.app.run_test(size=(120, 36)) as pilot:
        assert await nexus.ask("cloud-m") == "cloud"

        await pilot.press("!")
        await until(lambda: "OPEN ZONE CUT" in screen_text(nexus.app))
        with pytest.raises(openai.InternalServerError) as refused:
            await nexus.ask("cloud-m")
        assert await nexus.ask("m") == "first"

        assert refused.value.status_code == 503
        counted = "0 requests ended, 1 refused by the cut, 1 answered elsewhere"
        await until(lambda: counted in screen_text(nexus.app))

        await pilot.press("!")
        await until(lambda: "Open the open zone again?" in screen_text(nexus.app))
        await pilot.press("y")
        await until(lambda: "ZONE CUT" not in screen_text(nexus.app))
        assert await nexus.ask("cloud-m") == "cloud"


async def test_a_real_request_is_on_the_screen_with_its_backend() -> None:
    async with live() as nexus, nexus.app.run_test(size=(120, 36)):
        await nexus.ask()

        await until(lambda: "requests 1 " in screen_text(nexus.app))
        await until(lambda: "capability-match" in screen_text(nexus.app))


async def test_what_a_real_request_costs_is_on_every_screen_that_shows_money(
    tmp_path: Path,
) -> None:
    ledger = StorageConfig(path=str(tmp_path / "n.db"))
    async with live(ledger) as nexus, nexus.app.run_test(size=(160, 36)) as pilot:
        await nexus.ask("cloud-m")
        await nexus.ask("m")
        spent = dollars(Cost(nexus.gateway.cost_tracker.budget.spent_nano_usd, "").usd)
        while (costs := nexus.app.source.costs) is None or len(costs.by_model) < 2:
            await nexus.app.source.refresh_costs()
        await until(lambda: screen_text(nexus.app).count(spent) >= 3)
        dashboard = screen_text(nexus.app)
        await pilot.press("5")
        await until(lambda: f"today {spent}" in screen_text(nexus.app))
        money = screen_text(nexus.app).splitlines()

    assert spent.startswith("$")
    assert Decimal(spent[1:]) > 0
    assert f"{spent} today" in dashboard.splitlines()[0]
    cloud = next(line for line in money if line[1:].startswith("cloud-m "))
    assert spent in cloud
    assert "config" in cloud
    local = next(line for line in money if line[1:].startswith("m "))
    assert "$" not in local
