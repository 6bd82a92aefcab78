"""A session stays with the backend that holds its prompt, among near equals and within its zone."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.config.schema import RoutingConfig, WeightsConfig
from tests.scenarios.nexus import (
    RESTRICTED,
    Nexus,
    backend,
    cloud,
    running,
    say,
    told,
    upstreams,
)

EVEN = RoutingConfig(weights=WeightsConfig(latency=0))  # that one answered once says nothing
SESSIONS = [
    {"X-Claude-Code-Session-Id": "s1"},
    {"session-id": "s1"},
    {"session_id": "s1"},
    {"X-Session-Id": "s1"},
    {"x-session-affinity": "s1"},
]


async def turn(nexus: Nexus, number: int, headers: dict[str, str], **more: Any) -> str | None:
    """Each with another first word, as an agent's that puts a number there."""
    messages = [{"role": "system", "content": f"{number}"}, {"role": "user", "content": "x"}]
    answer = await nexus.ask(headers=headers, messages=messages, **more)
    assert answer.status_code == 200
    return told(answer)[1]


@pytest.mark.parametrize("session", SESSIONS)
async def test_a_session_goes_where_it_went_whatever_its_prompt_begins_with(
    session: dict[str, str],
) -> None:
    async with (
        upstreams(say, say) as (a, b),
        running(backend("a", a.url), backend("b", b.url), routing=EVEN) as nexus,
    ):
        pinned = {**session, "X-Nexus-Backend": "b"}
        served = [
            await turn(nexus, 1, pinned),
            await turn(nexus, 2, session),
            await turn(nexus, 3, dict.fromkeys(session, "other")),
            await turn(nexus, 4, session),
            await turn(nexus, 5, {}),
        ]

    assert served == ["b", "b", "a", "b", "a"]


async def test_the_key_of_a_prompt_cache_is_as_good() -> None:
    async with (
        upstreams(say, say) as (a, b),
        running(backend("a", a.url), backend("b", b.url), routing=EVEN) as nexus,
    ):
        served = [
            await turn(nexus, 1, {"X-Nexus-Backend": "b"}, prompt_cache_key="k"),
            await turn(nexus, 2, {}, prompt_cache_key="k"),
            await turn(nexus, 3, {}, prompt_cache_key="other"),
            await turn(nexus, 4, {}, prompt_cache_key=["k"]),
        ]

    assert served == ["b", "b", "a", "a"]


async def test_another_model_of_the_session_does_not_move_it() -> None:
    async with (
        upstreams(say, say) as (a, b),
        running(
            backend("a", a.url, models=("m", "n")),
            backend("b", b.url, models=("m", "n")),
            routing=EVEN,
        ) as nexus,
    ):
        session = {"session-id": "s1"}
        await turn(nexus, 1, {**session, "X-Nexus-Backend": "b"})
        await turn(nexus, 2, {**session, "X-Nexus-Backend": "a"}, model="n")

        assert await turn(nexus, 3, session) == "b"


async def test_a_restricted_request_of_a_session_that_the_cloud_served_stays_at_home() -> None:
    async with (
        upstreams(say, say) as (home, away),
        running(backend("home", home.url), cloud("away", away.url, priority=100)) as nexus,
    ):
        session = {"session-id": "s1"}

        assert await turn(nexus, 1, session) == "away"
        assert await turn(nexus, 2, {**session, **RESTRICTED}) == "home"
    assert len(away.received) == 1
