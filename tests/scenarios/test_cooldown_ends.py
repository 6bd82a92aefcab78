"""How a cooldown ends, and how it shows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nexus_core.config.schema import QueueConfig
from nexus_core.fleet.circuit import FAILURES_TO_OPEN
from nexus_core.observe.events import CooldownBegan, CooldownEnded
from nexus_core.types import CooldownEnd
from tests.contract.bodies import chat
from tests.contract.scripted_upstream import NO_MODELS, Exchange, ScriptedUpstream, answers
from tests.scenarios.nexus import (
    Nexus,
    backend,
    cloud,
    error_of,
    in_turn,
    running,
    say,
    told,
    upstreams,
)
from tests.scenarios.test_circuit import fail
from tests.scenarios.test_cooldowns import busy


@asynccontextmanager
async def cooling(**sections: Any) -> AsyncIterator[tuple[Nexus, ScriptedUpstream]]:
    """A backend of which one model has a cooldown for an hour, and which is well again."""
    async with (
        upstreams(in_turn(busy(3600), say)) as (only,),
        running(cloud("only", only.url), **sections) as nexus,
    ):
        assert (await nexus.ask()).status_code == 429
        assert (await nexus.ask()).status_code == 503
        yield nexus, only


async def by_api(nexus: Nexus) -> None:
    told = await nexus.switch("backends/only", cooldown=False)
    assert told["message"] == "only: 1 cooldown ended"
    assert told["backend"]["cooldowns"] == {}
    assert "lasts" not in told


async def by_probe(nexus: Nexus) -> None:
    told = await nexus.switch("backends/only/probe")
    assert "1 cooldown ended" in told["message"]


async def by_off_and_on(nexus: Nexus) -> None:
    await nexus.switch("backends/only", enabled=False)
    await nexus.switch("backends/only", enabled=True)


async def by_zone_off_and_on(nexus: Nexus) -> None:
    await nexus.switch("zones/open", enabled=False)
    await nexus.switch("zones/open", enabled=True)


async def by_reload_of_the_same(nexus: Nexus) -> None:
    told = await nexus.switch("reload")
    assert told["message"].endswith("active configuration; cooldowns ended: 1")


async def by_reload(nexus: Nexus) -> None:
    routing = nexus.gateway.config.routing.model_copy(update={"max_retries": 1})
    nexus.gateway.live.reload(nexus.gateway.config.model_copy(update={"routing": routing}))


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (by_api, CooldownEnd.CLEARED),
        (by_probe, CooldownEnd.CLEARED),
        (by_off_and_on, CooldownEnd.SWITCHED),
        (by_zone_off_and_on, CooldownEnd.SWITCHED),
        (by_reload_of_the_same, CooldownEnd.RELOADED),
        (by_reload, CooldownEnd.RELOADED),
    ],
)
async def test_an_operator_ends_a_cooldown(
    end: Callable[[Nexus], Awaitable[None]], cause: CooldownEnd
) -> None:
    async with cooling() as (nexus, _):
        await end(nexus)
        answer = await nexus.ask()
        events = nexus.events()

    assert told(answer)[:2] == (200, "only")
    began = [event for event in events if isinstance(event, CooldownBegan)]
    ended = [event for event in events if isinstance(event, CooldownEnded)]
    assert [(one.backend, one.model, one.seconds) for one in began] == [("only", "m", 3600)]
    assert [(one.backend, one.model, one.cause) for one in ended] == [("only", "m", cause)]


async def test_who_waits_is_served_when_an_operator_ends_the_cooldown() -> None:
    async with cooling(queue=QueueConfig(enabled=True, max_wait_seconds=5)) as (nexus, _):
        waiting = await nexus.start_waiting(1)
        await by_api(nexus)
        answer = await waiting

    assert told(answer)[:2] == (200, "only")


async def test_a_probe_that_fails_ends_nothing() -> None:
    async with cooling() as (nexus, only):
        only.listing = answers("loading", 503)
        probed = await nexus.switch("backends/only/probe")
        answer = await nexus.ask()

    assert not probed["ok"]
    assert answer.status_code == 503


async def test_a_health_check_leaves_alone_what_the_backend_asked_for() -> None:
    async with cooling() as (nexus, _):
        await nexus.gateway.health.probe("only")
        answer = await nexus.ask()

    assert answer.status_code == 503


async def test_a_server_that_came_back_behind_its_proxy_is_used_at_once_too() -> None:
    gone, is_up = answers(b"bad gateway", 502), False

    async def chats(exchange: Exchange) -> None:
        await (say if is_up else gone)(exchange)

    async with upstreams(chats) as (only,), running(backend("only", only.url)) as nexus:
        only.listing = gone
        await fail(nexus, FAILURES_TO_OPEN)
        for seconds in (6, 11, 21):  # its trials fail as well
            nexus.clock.seconds += seconds
            await nexus.ask(user=f"trial after {seconds}")
        away = await nexus.ask()
        await nexus.gateway.health.probe("only")
        only.listing, is_up = NO_MODELS, True
        await nexus.gateway.health.probe("only")
        back = await nexus.ask()

    assert away.status_code == 503
    assert told(back)[:2] == (200, "only")


async def test_a_server_that_came_back_is_used_as_soon_as_a_probe_says_so() -> None:
    async with upstreams(say) as (first,):
        url = first.url
    # Closed: nobody listens there now.
    async with running(backend("first", url)) as nexus:
        down, away = await nexus.ask(), await nexus.ask()
        async with ScriptedUpstream(port=int(url.rpartition(":")[2])) as again:
            again.script = say
            still_away = await nexus.ask()
            await nexus.gateway.health.probe("first")  # as the health checks do at their interval
            back = await nexus.ask()

    assert (down.status_code, away.status_code, still_away.status_code) == (502, 503, 503)
    assert "cooldown" in error_of(away)["message"]
    assert told(back) == (200, "first", "capability-match")
    causes = [event.cause for event in nexus.events() if isinstance(event, CooldownEnded)]
    assert causes == [CooldownEnd.PROBED]


# How it shows -------------------------------------------------------------------------------------


async def test_state_and_stats_tell_of_it() -> None:
    async with cooling() as (nexus, _):
        nexus.clock.seconds += 100
        state = (await nexus.http.get("/nexus/state")).json()
        stats = (await nexus.http.get("/v1/stats")).json()

    expected = {
        "seconds": pytest.approx(3500),
        "why": "answered 429",
        "is_circuit_open": False,
        "is_tried": False,
    }
    (listed,) = state["backends"]
    assert listed["cooldown"] is None
    assert listed["cooldowns"] == stats["backends"]["only"]["cooldowns"] == {"m": expected}


async def test_the_event_stream_tells_of_it() -> None:
    async with cooling() as (nexus, _):
        await by_api(nexus)
        kinds: list[str] = []
        since = {"Last-Event-ID": f"{nexus.gateway.event_log.run}-0"}
        async with nexus.http.stream("GET", "/nexus/events", headers=since) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and "Cooldown" in line:
                    kinds.append(json.loads(line.removeprefix("data: "))["type"])
                if len(kinds) == 2:
                    break

    assert kinds == ["CooldownBegan", "CooldownEnded"]


async def test_explain_says_what_keeps_the_request_away_and_when_it_ends() -> None:
    async with cooling() as (nexus, _):
        told = (await nexus.http.post("/nexus/explain", json=chat("m"))).json()

    (stage,) = [one for one in told["models"][0]["stages"] if one["stage"] == "cooldown"]
    (dropped,) = stage["dropped"]
    assert dropped == {"backend": "only", "why": "cooldown of m, 3600 s left: answered 429"}
    assert "only: cooldown over, in 3600 s → only, capability-match" in told["would_change"]
