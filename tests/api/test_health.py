"""What GET /health tells, and to whom."""

from __future__ import annotations

import os

import httpx
import pytest

from nexus_core import __version__
from nexus_core.api.app import FrontDoor
from nexus_core.config.schema import AuthConfig, ClientKey, Config
from nexus_core.gateway import Gateway

KEYED = Config(auth=AuthConfig(api_keys=(ClientKey(name="alice", value=b"ka"),)))


@pytest.mark.parametrize(
    ("caller", "told"),
    [("127.0.0.1", {"version": __version__, "pid": os.getpid()}), ("10.0.0.9", {})],
)
async def test_version_and_process_are_told_only_on_this_machine(
    caller: str, told: dict[str, object]
) -> None:
    transport = httpx.ASGITransport(FrontDoor(Gateway(KEYED)), client=(caller, 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        health = (await client.get("/health")).json()

    assert health == {
        "status": "ok",
        "service": "nexus",
        **told,
        "backends": {"usable": 0, "total": 0},
    }


async def test_a_balancer_is_told_of_the_end_before_it_comes() -> None:
    gateway = Gateway(KEYED)
    gateway.is_draining = True
    transport = httpx.ASGITransport(FrontDoor(gateway), client=("10.0.0.9", 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        answer = await client.get("/health")

    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
