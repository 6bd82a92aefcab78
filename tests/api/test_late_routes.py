"""What is served without FastAPI, and how the rest comes when it is asked for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from nexus_core.api.app import FrontDoor
from nexus_core.api.late_routes import LateRoutes
from nexus_core.api.routes import create_app
from nexus_core.gateway import Gateway

ROOT = Path(__file__).parents[2]

_CLIENT = """
import asyncio, sys
import httpx
from nexus_core.api.app import FrontDoor
from nexus_core.config.schema import Config, StorageConfig
from nexus_core.gateway import Gateway
from tests.shortage import no_descriptor_left

def is_imported():
    return "fastapi" in sys.modules or "starlette" in sys.modules

async def main(client):
    {}

door = FrontDoor(Gateway(Config(storage=StorageConfig(path=":memory:"))))
transport = httpx.ASGITransport(door, raise_app_exceptions=False)
asyncio.run(main(httpx.AsyncClient(transport=transport, base_url="http://localhost")))
"""


def in_a_fresh_interpreter(*steps: str) -> list[str]:
    """What these lines print; `client` is one of a front door that was never asked anything."""
    code = _CLIENT.format("\n    ".join(steps))
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_readiness_models_and_inference_need_no_fastapi() -> None:
    told = in_a_fresh_interpreter(
        'print((await client.get("/health")).status_code)',
        'print((await client.get("/v1/models")).status_code)',
        'chat = {"model": "m", "messages": [{"role": "user", "content": "x"}]}',
        'print((await client.post("/v1/chat/completions", json=chat)).status_code)',
        "print(is_imported())",
        'print((await client.get("/v1/stats")).status_code)',
        "print(is_imported())",
    )

    assert told == ["200", "200", "404", "False", "200", "True"]


def test_a_shortage_of_descriptors_while_it_is_imported_is_a_503_and_passes() -> None:
    told = in_a_fresh_interpreter(
        'print((await client.get("/health")).status_code)',
        "with no_descriptor_left():",
        '    refused = await client.get("/v1/stats")',
        'print(refused.status_code, refused.headers["retry-after"])',
        'print(refused.json()["error"]["code"])',
        'print((await client.get("/v1/stats")).status_code)',
    )

    assert told == ["200", "503", "1", "capacity_exceeded", "200"]


def test_commands_are_carried_out_in_a_shortage_once_a_route_was_asked_for() -> None:
    told = in_a_fresh_interpreter(
        'print((await client.get("/v1/stats")).status_code)',
        "with no_descriptor_left():",
        '    done = await client.post("/nexus/zones/open", json={"enabled": False})',
        'print(done.status_code, done.json()["enabled"])',
    )

    assert told == ["200", "200", "False"]


async def test_it_is_made_once_however_many_ask(gateway: Gateway) -> None:
    routes = LateRoutes(gateway)

    first, second = await asyncio.gather(routes.app(), routes.app())

    assert first is second is await routes.app()


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
async def test_what_the_door_answers_itself_is_what_the_route_answers(
    gateway: Gateway, path: str
) -> None:
    answers: list[httpx.Response] = []
    for app in (FrontDoor(gateway), create_app(gateway)):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers.append(await client.get(path))

    by_door, by_route = answers
    assert by_door.content == by_route.content
    assert sorted(by_door.headers.raw) == sorted(by_route.headers.raw)
    assert by_door.status_code == by_route.status_code == 200


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
async def test_other_methods_are_refused_there_as_everywhere(gateway: Gateway, path: str) -> None:
    transport = httpx.ASGITransport(FrontDoor(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        refused = [await client.request(method, path) for method in ("HEAD", "POST", "DELETE")]

    assert [answer.status_code for answer in refused] == [405, 405, 405]
    assert refused[0].headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/nexus/state", "/openapi.json", "/docs"])
async def test_the_loop_does_little_for_the_first_answer_of_a_route(
    gateway: Gateway, path: str
) -> None:
    app = await LateRoutes(gateway).app()
    transport = httpx.ASGITransport(app)
    calls: Counter[str] = Counter()

    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        sys.setprofile(lambda frame, event, argument: calls.update((event,)))  # of this thread
        try:
            answer = await client.get(path)
        finally:
            sys.setprofile(None)

    assert answer.status_code == 200
    assert 100 < calls["call"] < 8_000, calls
