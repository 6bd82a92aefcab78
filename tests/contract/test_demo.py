"""The demo's fleet and traffic with the real proxy between them."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import httpx
import pytest

from nexus_core.config.schema import BackendConfig, Config
from nexus_core.demo.backends import ALIASES, POLICIES, DemoFleet
from nexus_core.demo.traffic import MEAN_PAUSE_SECONDS, run_traffic
from nexus_core.types import RouteReason
from tests.waiting import until

from .conftest import StartNexus
from .nexus_process import NexusProcess, backend_table, config_text

pytestmark = pytest.mark.asyncio(loop_scope="session")

SPEED = 20.0
DEADLINE_SECONDS = 20
REQUESTS_IN_TWO_MINUTES = 120 / MEAN_PAUSE_SECONDS  # without those that bursts add


def key_variable(backend: BackendConfig) -> str:
    return f"{backend.name.upper()}_DEMO_KEY"


def table(backend: BackendConfig) -> str:
    """The backend as a file would say it, the key in a variable."""
    limits = {"max_concurrent": backend.max_concurrent} if backend.max_concurrent else {}
    key = {"api_key_env": key_variable(backend)} if backend.api_key else {}
    return backend_table(
        backend.name,
        backend.url,
        backend.models,
        type=backend.type,
        zone=backend.zone,
        tier=backend.tier,
        priority=backend.priority,
        **limits,
        **key,
    )


def routing() -> str:
    aliases = "\n".join(f'"{name}" = "{model}"' for name, model in ALIASES.items())
    policies = "\n".join(
        f'[[routing.policies]]\nmodel_pattern = "{policy.model_pattern}"\n'
        f'privacy = "{policy.privacy}"'
        for policy in POLICIES
    )
    return f"[routing.aliases]\n{aliases}\n{policies}\n"


async def requests_until_every_route_reason(nexus: NexusProcess) -> int:
    """How many requests were finished when each reason had been given."""
    wanted = {reason.value for reason in RouteReason}
    stats: dict[str, Any] = {}
    async with httpx.AsyncClient(base_url=nexus.url) as client:

        async def has_all() -> bool:
            stats.update((await client.get("/v1/stats")).json())
            return bool(stats["route_reasons"].keys() >= wanted)

        await until(has_all, DEADLINE_SECONDS)
    return int(stats["finished"])


async def test_the_traffic_of_two_minutes_brings_about_every_route_reason(
    start_nexus: StartNexus,
) -> None:
    """Counted in requests: the pauses are cut short here, and more so on a quick machine."""
    seeded = Random(3)
    stop = asyncio.Event()
    async with DemoFleet(seeded, speed=SPEED) as fleet:
        backends = fleet.config(Config()).backends
        keys = {key_variable(b): b.api_key for b in backends if b.api_key}
        nexus = await start_nexus(
            config_text(*(table(backend) for backend in backends), more=routing()), **keys
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_traffic(nexus.url, stop=stop, random=seeded, speed=SPEED))
            requests = await requests_until_every_route_reason(nexus)
            stop.set()

    assert requests < REQUESTS_IN_TWO_MINUTES


async def test_the_headless_demo_serves_its_models_and_makes_traffic(
    start_nexus: StartNexus,
) -> None:
    nexus = await start_nexus("", "--demo")

    async with httpx.AsyncClient(base_url=nexus.url, timeout=30) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        answer = await client.post(
            "/v1/chat/completions",
            json={"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]},
        )

        async def is_busy() -> bool:
            return bool((await client.get("/v1/stats")).json()["requests"] >= 3)

        await until(is_busy, DEADLINE_SECONDS)

    assert {"gpt-4", "llama3:70b", "gpt-4o", "claude-sonnet-4-6", "gemini-2.5-flash"} <= {
        model["id"] for model in listed
    }
    assert answer.status_code == 200
    assert "DEMO" in nexus.stderr.upper()
