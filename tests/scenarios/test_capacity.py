"""Full backends: who takes over, who comes back, and what a refused client is told."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.config.schema import PolicyConfig, RoutingConfig
from nexus_core.types import PrivacyZone
from tests.scenarios.nexus import (
    CHAT,
    RESTRICTED,
    Gate,
    backend,
    cloud,
    error_of,
    hang_up,
    running,
    say,
    told,
    upstreams,
)
from tests.waiting import until


@pytest.mark.parametrize("stream", [False, True])
async def test_a_full_local_backend_overflows_to_the_cloud_and_is_used_again_when_free(
    stream: bool,
) -> None:
    gate = Gate()
    async with (
        upstreams(gate, say) as (near, far),
        running(backend("local", near.url, max_concurrent=1), cloud("cloud", far.url)) as nexus,
    ):
        holding = nexus.start(stream=stream)
        await near.wait_for_requests(1)

        while_full = await nexus.ask(stream=stream)
        gate.open()
        first = await holding
        when_free = await nexus.ask(stream=stream)

    assert told(first) == (200, "local", "capability-match")
    assert told(while_full) == (200, "cloud", "capacity-overflow")
    assert told(when_free) == (200, "local", "capability-match")
    assert while_full.headers["x-nexus-backend-type"] == "cloud"
    assert while_full.headers["x-nexus-privacy-zone"] == "open"


async def test_a_restricted_request_does_not_overflow_to_the_cloud() -> None:
    gate = Gate()
    async with (
        upstreams(gate, say) as (near, far),
        running(backend("local", near.url, max_concurrent=1), cloud("cloud", far.url)) as nexus,
    ):
        holding = nexus.start()
        await near.wait_for_requests(1)

        refused = await nexus.ask(headers=RESTRICTED)
        gate.open()
        await holding

    assert refused.status_code == 503
    assert error_of(refused)["code"] == "privacy_constraint_violation"
    assert far.received == []


async def test_every_slot_is_used_and_not_one_more() -> None:
    gate = Gate()
    async with (
        upstreams(gate) as (only,),
        running(backend("local", only.url, max_concurrent=5)) as nexus,
    ):
        asked = [nexus.start(stream=bool(n % 2)) for n in range(20)]
        await until(lambda: sum(task.done() for task in asked) == 15)
        in_flight = nexus.backend("local").in_flight
        gate.open()
        answers = await asyncio.gather(*asked)

    assert in_flight == 5
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 15
    assert len(only.received) == 5


async def test_a_slot_is_free_again_whatever_ends_the_request() -> None:
    async with (
        upstreams(hang_up) as (only,),
        running(backend("local", only.url, max_concurrent=1)) as nexus,
    ):
        broken = await nexus.ask()
        only.script = Gate()
        leaving = nexus.start(stream=True)
        await only.wait_for_requests(2)
        leaving.cancel()
        await asyncio.wait([leaving])
        await only.last.closed.wait()
        await nexus.gateway.forwarder.idle()
        only.script = say
        well = await nexus.ask(stream=True)
        bad = await nexus.http.post(CHAT, json={"model": "m"})
        again = await nexus.ask()

    statuses = [answer.status_code for answer in (broken, well, bad, again)]
    assert statuses == [502, 200, 400, 200]


async def test_the_eta_comes_from_the_service_times_seen() -> None:
    gate = Gate()
    async with (
        upstreams(say) as (only,),
        running(backend("local", only.url, max_concurrent=2, tier=2)) as nexus,
    ):
        only.script = gate
        first = [nexus.start(), nexus.start()]
        await only.wait_for_requests(2)
        unknown = await nexus.ask()
        nexus.clock.seconds += 30
        gate.open()
        await asyncio.gather(*first)
        only.script = second = Gate()
        holding = [nexus.start(), nexus.start()]
        await only.wait_for_requests(4)

        known = await nexus.ask(headers={"X-Nexus-Min-Tier": "1"})
        second.open()
        await asyncio.gather(*holding)

    assert error_of(unknown)["context"]["eta_seconds"] is None
    assert "retry-after" not in unknown.headers
    error = error_of(known)
    assert (known.status_code, error["type"], error["code"], error["param"]) == (
        503,
        "service_unavailable",
        "capacity_exceeded",
        None,
    )
    assert error["context"] == {
        "required_tier": 1,
        "available_backends": [
            {"name": "local", "status": "at_capacity", "zone": "restricted", "tier": 2}
        ],
        "eta_seconds": 15,
    }
    assert known.headers["retry-after"] == "15"


async def test_each_503_says_what_stands_in_the_way() -> None:
    async with (
        upstreams(say, say) as (near, far),
        running(
            backend("local", near.url, tier=1, models=("m", "only-here")),
            backend("off", near.url, enabled=False, models=("off",)),
            backend("untold", near.url, models=("untold",)),
            cloud("cloud", far.url, tier=4, models=("m", "only-there", "secret-plan")),
            routing=RoutingConfig(
                policies=(
                    PolicyConfig(model_pattern="secret-*", privacy=PrivacyZone.RESTRICTED),
                    PolicyConfig(model_pattern="only-here", min_tier=3),
                )
            ),
        ) as nexus,
    ):
        asked = {
            "by header": await nexus.ask("only-there", headers=RESTRICTED),
            "by policy": await nexus.ask("secret-plan"),
            "tier": await nexus.ask("only-here"),
            "pinned": await nexus.ask("only-there", headers={"X-Nexus-Backend": "local"}),
            "off": await nexus.ask("off"),
            "no tier": await nexus.ask("untold", headers={"X-Nexus-Min-Tier": "0"}),
        }

    codes = {case: (a.status_code, error_of(a)["code"]) for case, a in asked.items()}
    assert codes == {
        "by header": (503, "privacy_constraint_violation"),
        "by policy": (503, "privacy_constraint_violation"),
        "tier": (503, "no_capable_backend"),
        "pinned": (503, "no_capable_backend"),
        "off": (503, "no_capable_backend"),
        "no tier": (503, "no_capable_backend"),
    }
    contexts = {case: error_of(answer)["context"] for case, answer in asked.items()}
    assert contexts["tier"]["required_tier"] == 3
    listed = {case: context["available_backends"] for case, context in contexts.items()}
    assert [(b["name"], b["status"]) for b in listed["off"]] == [("off", "disabled")]
    assert [(b["name"], b["zone"], b["tier"]) for b in listed["by header"]] == [
        ("cloud", "open", 4)
    ]
    assert near.received == far.received == []


async def test_a_model_that_nobody_serves_is_a_404_with_near_names_and_one_that_is_off_is_not() -> (
    None
):
    async with (
        upstreams(say) as (only,),
        running(
            backend("local", only.url, models=("llama3:70b",)),
            backend("off", only.url, models=("qwen2:72b",), enabled=False),
            routing=RoutingConfig(aliases={"gpt-4": "llama3:70b"}),
        ) as nexus,
    ):
        near = await nexus.ask("llama3:7b")
        alias = await nexus.ask("gpt4")
        far = await nexus.ask("something-else-altogether")
        off = await nexus.ask("qwen2:72b")

    assert [answer.status_code for answer in (near, alias, far, off)] == [404, 404, 404, 503]
    assert error_of(near)["code"] == error_of(far)["code"] == "model_not_found"
    assert error_of(near)["param"] == "model"
    assert "llama3:70b" in error_of(near)["message"]
    assert "gpt-4" in error_of(alias)["message"]
    assert "GET /v1/models" in error_of(far)["message"]
