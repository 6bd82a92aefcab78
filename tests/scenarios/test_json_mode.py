"""JSON mode at a provider without one: asked for, checked, and answered elsewhere if need be."""

from __future__ import annotations

import json
from typing import Any

from nexus_core.catalog import BackendType
from tests.contract.scripted_upstream import answers
from tests.dialects.anthropic.test_response import answer
from tests.scenarios.nexus import cloud, error_of, running, say, told, upstreams

OBJECT: dict[str, Any] = {"response_format": {"type": "json_object"}}


async def test_an_answer_without_the_object_fails_over_and_counts_against_nobody() -> None:
    prose = answers(answer({"type": "text", "text": "I would rather not."}))
    async with (
        upstreams(prose, say) as (first, second),
        running(
            cloud("claude", first.url, type=BackendType.ANTHROPIC, priority=90),
            cloud("other", second.url, priority=10),
        ) as nexus,
    ):
        another = await nexus.ask(**OBJECT)
        alone = await nexus.ask(**OBJECT, headers={"X-Nexus-Backend": "claude"})
        cooldowns = dict(nexus.backend("claude").cooldowns)

    assert told(another) == (200, "other", "backend-failover")
    assert told(alone)[:2] == (502, "claude")
    assert "without the JSON object" in error_of(alone)["message"]
    assert cooldowns == {}


async def test_the_object_is_what_the_client_gets() -> None:
    fenced = answers(answer({"type": "text", "text": '```json\n{"a": 1}\n```'}))
    async with (
        upstreams(fenced) as (up,),
        running(cloud("claude", up.url, type=BackendType.ANTHROPIC)) as nexus,
    ):
        got = await nexus.ask(**OBJECT)

    assert json.loads(got.json()["choices"][0]["message"]["content"]) == {"a": 1}
    assert "JSON object" in json.loads(up.received[0].body)["system"][-1]["text"]
