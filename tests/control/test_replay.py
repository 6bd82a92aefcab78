"""Requests of an operator: a captured one sent again, and a new one; bound by every rule."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, RoutingConfig, ServerConfig
from nexus_core.control.commands import CaptureBodies, Command, ReplayRequest, SendRequest
from nexus_core.control.own_requests import MAX_OWN_REQUESTS
from nexus_core.demo.simulated import FULL_SPEED, Behaviour, SimulatedServer
from nexus_core.errors import (
    BackendNotFoundError,
    InvalidRequestError,
    NexusError,
    PermissionDeniedError,
    RequestNotFoundError,
)
from nexus_core.gateway import Gateway
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.events import RequestFinished, RequestReceived
from nexus_core.types import PrivacyZone
from tests.operators import OPERATOR
from tests.running import served
from tests.waiting import until

RESTRICTED = {"X-Nexus-Privacy-Zone": "restricted"}


@dataclass
class World:
    gateway: Gateway
    servers: dict[str, SimulatedServer]
    http: httpx.AsyncClient

    async def ask(self, headers: Mapping[str, str] | None = None, *, stream: bool = False) -> str:
        """Ask once; gives the id."""
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        answer = await self.http.post("/v1/chat/completions", json=body, headers=headers)
        return answer.headers["x-nexus-request-id"]

    async def replay(self, request_id: str, backend: str) -> str:
        """Replay and wait for the end; gives the new id."""
        return await self.carry_out(ReplayRequest(request_id=request_id, backend=backend))

    async def carry_out(self, command: Command) -> str:
        """Send what the command asks for and wait for the end; gives its id."""
        new_id = str((await self.gateway.operator.execute(command, OPERATOR)).data["request_id"])
        await self.finished(new_id)
        return new_id

    async def finished(self, request_id: str) -> None:
        """Return once this request is over."""
        recent = self.gateway.recent
        await until(lambda: (one := recent.get(request_id)) is not None and not one.is_live)

    def exchange(self, request_id: str) -> CapturedExchange:
        found = self.gateway.captures.get(request_id)
        assert found is not None
        return found

    def received(self, name: str) -> int:
        return sum(one.method == "POST" for one in self.servers[name].received)


@asynccontextmanager
async def world(**routing: Any) -> AsyncIterator[World]:
    """`local` and `spare` are restricted, `cloud` is open; `local` is preferred."""
    behaviour = Behaviour(models=("m",))
    zones = {
        "local": PrivacyZone.RESTRICTED,
        "spare": PrivacyZone.RESTRICTED,
        "cloud": PrivacyZone.OPEN,
    }
    servers = {
        name: SimulatedServer(behaviour, random=Random(number), speed=FULL_SPEED)
        for number, name in enumerate(zones)
    }
    async with servers["local"], servers["spare"], servers["cloud"]:
        backends = tuple(
            BackendConfig(
                name=name,
                url=servers[name].url,
                type=BackendType.VLLM,
                zone=zone,
                priority=90 if name == "local" else 10,
                models={"m": "m"},
            )
            for name, zone in zones.items()
        )
        server = ServerConfig(shutdown_grace_seconds=0.2)
        config = Config(server=server, backends=backends, routing=RoutingConfig(**routing))
        gateway = Gateway(config)
        async with served(gateway) as url, httpx.AsyncClient(base_url=url) as http:
            await gateway.operator.execute(CaptureBodies(enabled=True), OPERATOR)
            yield World(gateway, servers, http)


async def test_a_replay_goes_where_it_is_sent_and_its_answer_is_kept() -> None:
    async with world() as nexus:
        original = await nexus.ask()

        replayed = await nexus.replay(original, "cloud")

        assert nexus.received("cloud") == 1
        first, second = nexus.exchange(original), nexus.exchange(replayed)
        assert second.body == first.body
        assert (second.status, second.is_whole, second.replay_of) == (200, True, original)
        assert b'"choices"' in second.answer


async def test_a_stream_is_replayed_as_a_stream() -> None:
    async with world() as nexus:
        replayed = await nexus.replay(await nexus.ask(stream=True), "spare")

        assert nexus.exchange(replayed).answer.rstrip().endswith(b"data: [DONE]")


async def test_a_replay_is_counted_and_told_as_a_request_of_its_own() -> None:
    async with world() as nexus:
        original = await nexus.ask()
        watched = nexus.gateway.bus.subscribe()

        replayed = await nexus.replay(original, "spare")

        events = watched.drain()
        (received,) = [one for one in events if isinstance(one, RequestReceived)]
        (finished,) = [one for one in events if isinstance(one, RequestFinished)]
        assert (received.request_id, received.replay_of) == (replayed, original)
        assert [one.origin.agent for one in nexus.gateway.recent.newest(1)] == ["nexus"]
        assert (finished.backend, finished.status) == ("spare", 200)
        assert nexus.gateway.stats.requests == 2


async def test_a_restricted_request_is_not_replayed_to_an_open_backend() -> None:
    async with world() as nexus:
        original = await nexus.ask(RESTRICTED)

        with pytest.raises(PermissionDeniedError) as refused:
            await nexus.replay(original, "cloud")
        replayed = await nexus.replay(original, "spare")

        assert "restricted" in refused.value.message
        assert "cloud" in refused.value.message
        assert nexus.received("cloud") == 0
        assert nexus.exchange(replayed).is_restricted
        assert nexus.gateway.stats.requests == 2


async def test_a_request_restricted_by_a_policy_is_bound_by_it_too() -> None:
    policy = {"model_pattern": "m", "privacy": PrivacyZone.RESTRICTED}
    async with world(policies=(policy,)) as nexus:
        original = await nexus.ask()

        with pytest.raises(PermissionDeniedError):
            await nexus.replay(original, "cloud")


async def test_a_replay_to_a_backend_that_is_off_fails_and_goes_nowhere_else() -> None:
    async with world() as nexus:
        original = await nexus.ask()
        nexus.gateway.registry.set_enabled("spare", False)

        replayed = await nexus.replay(original, "spare")

        assert nexus.exchange(replayed).status == 503
        assert [nexus.received(name) for name in nexus.servers] == [1, 0, 0]


async def test_what_was_not_kept_can_not_be_replayed() -> None:
    async with world() as nexus:
        await nexus.gateway.operator.execute(CaptureBodies(enabled=False), OPERATOR)
        original = await nexus.ask()

        with pytest.raises(RequestNotFoundError, match="not captured"):
            await nexus.replay(original, "spare")
        assert nexus.gateway.stats.requests == 1


async def test_a_replay_to_nobody_is_refused() -> None:
    async with world() as nexus:
        with pytest.raises(BackendNotFoundError):
            await nexus.replay(await nexus.ask(), "nobody")


async def test_a_replay_under_way_does_not_keep_nexus_from_stopping() -> None:
    began = time.monotonic()
    async with world() as nexus:
        original = await nexus.ask()
        nexus.servers["spare"]._speed = 1e-6
        command = ReplayRequest(request_id=original, backend="spare")
        replayed = (await nexus.gateway.operator.execute(command, OPERATOR)).data["request_id"]

    assert time.monotonic() - began < 5
    assert nexus.exchange(replayed).status == 503


# A new one ----------------------------------------------------------------------------------------


HI = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


async def test_a_request_of_the_operator_goes_the_way_of_a_clients_and_its_answer_is_kept() -> None:
    async with world() as nexus:
        await nexus.gateway.operator.execute(CaptureBodies(enabled=False), OPERATOR)
        watched = nexus.gateway.bus.subscribe()

        sent = await nexus.carry_out(SendRequest(body=HI, min_tier=None, flexible=True))

        events = watched.drain()
        (received,) = [one for one in events if isinstance(one, RequestReceived)]
        (finished,) = [one for one in events if isinstance(one, RequestFinished)]
        assert (received.request_id, received.replay_of, received.client) == (sent, None, None)
        assert received.headers == (("X-Nexus-Flexible", "true"),)
        assert (finished.backend, finished.status) == ("local", 200)
        exchange = nexus.exchange(sent)
        assert (exchange.body, exchange.is_whole) == (HI, True)
        assert b'"choices"' in exchange.answer


@pytest.mark.parametrize("is_pinned", [True, False])
async def test_a_restricted_one_never_leaves_for_an_open_backend(is_pinned: bool) -> None:
    async with world() as nexus:
        for name in ("local", "spare"):
            nexus.gateway.registry.set_enabled(name, False)
        pin = "cloud" if is_pinned else None

        sent = await nexus.carry_out(SendRequest(body=HI, zone=PrivacyZone.RESTRICTED, backend=pin))

        assert nexus.exchange(sent).status == 503
        assert nexus.exchange(sent).is_restricted
        assert nexus.received("cloud") == 0


async def test_one_of_another_endpoint_is_sent_there() -> None:
    async with world() as nexus:
        body = b'{"model": "m", "input": "hi"}'

        sent = await nexus.carry_out(
            SendRequest(body=body, endpoint="/v1/embeddings", backend="spare")
        )

        assert nexus.exchange(sent).status == 200
        assert nexus.servers["spare"].received[-1].path == "/v1/embeddings"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (SendRequest(body=b"{}"), InvalidRequestError),
        (SendRequest(body=b"no json"), InvalidRequestError),
        (SendRequest(body=HI, endpoint="/v1/embeddings"), InvalidRequestError),
        (SendRequest(body=HI, backend="nobody"), BackendNotFoundError),
    ],
)
async def test_what_can_not_be_sent_is_refused_at_once(
    command: Command, error: type[Exception]
) -> None:
    async with world() as nexus:
        with pytest.raises(error):
            await nexus.gateway.operator.execute(command, OPERATOR)

        assert nexus.gateway.stats.requests == 0


async def test_no_more_of_them_run_at_once_than_somebody_can_watch() -> None:
    async with world() as nexus:
        for server in nexus.servers.values():
            server._speed = 1e-6
        for _ in range(MAX_OWN_REQUESTS):
            await nexus.gateway.operator.execute(SendRequest(body=HI), OPERATOR)

        with pytest.raises(NexusError) as refused:
            await nexus.gateway.operator.execute(SendRequest(body=HI), OPERATOR)

        assert refused.value.status == 503
        assert f"{MAX_OWN_REQUESTS} requests from the dashboard" in refused.value.message
        assert len(nexus.gateway.captures) == MAX_OWN_REQUESTS  # nothing is kept of a refused one
        assert nexus.gateway.stats.requests <= MAX_OWN_REQUESTS


async def test_their_bodies_together_are_no_larger_than_one_may_be() -> None:
    async with world() as nexus:
        config = nexus.gateway.config
        server = config.server.model_copy(update={"max_body_bytes": 2 * len(HI)})
        nexus.gateway.live.config = config.model_copy(update={"server": server})
        for one in nexus.servers.values():
            one._speed = 1e-6
        for _ in range(2):
            await nexus.gateway.operator.execute(SendRequest(body=HI), OPERATOR)

        with pytest.raises(NexusError, match="are in progress"):
            await nexus.gateway.operator.execute(SendRequest(body=HI), OPERATOR)


async def test_one_that_is_over_makes_room_for_the_next() -> None:
    async with world() as nexus:
        for _ in range(MAX_OWN_REQUESTS + 1):
            await nexus.carry_out(SendRequest(body=HI))

        assert nexus.gateway.stats.requests == MAX_OWN_REQUESTS + 1


async def test_over_http_it_is_sent_as_the_data_plane_would_take_it() -> None:
    async with world() as nexus:
        answer = await nexus.http.post(
            "/nexus/send",
            content=HI,
            headers={**RESTRICTED, "X-Nexus-Backend": "spare", "Content-Type": "application/json"},
        )
        sent = answer.json()["data"]["request_id"]
        await nexus.finished(sent)
        bodies = (await nexus.http.get(f"/nexus/requests/{sent}/bodies")).json()

        assert answer.status_code == 200
        assert answer.json()["message"] == f"sent as {sent}"
        assert bodies["request"]["content"] == HI.decode()
        assert '"choices"' in bodies["answer"]["content"]
        assert nexus.received("spare") == 1


@pytest.mark.parametrize(
    ("query", "headers", "status", "param"),
    [
        ("", {"X-Nexus-Backend": "nobody"}, 400, "X-Nexus-Backend"),
        ("", {"X-Nexus-Min-Tier": "9"}, 400, "X-Nexus-Min-Tier"),
        ("?endpoint=/v1/models", {}, 400, "query.endpoint"),
        ("", {"Content-Type": "text/plain"}, 400, "Content-Type"),
    ],
)
async def test_a_wrong_one_over_http_says_what_is_wrong(
    query: str, headers: dict[str, str], status: int, param: str
) -> None:
    async with world() as nexus:
        answer = await nexus.http.post(
            f"/nexus/send{query}",
            content=HI,
            headers={"Content-Type": "application/json", **headers},
        )

        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
        assert nexus.gateway.stats.requests == 0
