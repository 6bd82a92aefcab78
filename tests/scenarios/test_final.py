"""What no retry can mend is asked once: OpenAI's SDK obeys x-should-retry."""

from __future__ import annotations

import openai
import pytest

from nexus_core.catalog import BackendType
from tests.contract.bodies import chat
from tests.scenarios.nexus import RESTRICTED, backend, cloud, running, say, upstreams


@pytest.mark.parametrize(
    ("model", "headers"),
    [("off", {}), ("there", RESTRICTED), ("m", {"X-Nexus-Min-Tier": "4"}), ("nowhere", {})],
)
async def test_the_sdk_asks_once_for_what_a_retry_can_not_mend(
    model: str, headers: dict[str, str]
) -> None:
    async with (
        upstreams(say) as (only,),
        running(
            backend("local", only.url, tier=1),
            backend("off", only.url, enabled=False, models=("off",)),
            cloud("cloud", only.url, models=("there",)),
        ) as nexus,
        openai.AsyncOpenAI(base_url=f"{nexus.http.base_url}/v1", api_key="x") as client,
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(**chat(model), extra_headers=headers)

    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(nexus.finished()) == 1
    assert only.received == []


async def test_the_sdk_asks_again_where_a_slot_may_come_free() -> None:
    async with (
        upstreams(say) as (only,),
        running(backend("local", only.url, max_concurrent=1)) as nexus,
        openai.AsyncOpenAI(
            base_url=f"{nexus.http.base_url}/v1", api_key="x", max_retries=1
        ) as client,
    ):
        nexus.gateway.registry.acquire("local")
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(**chat("m"))
        nexus.gateway.registry.release("local")

    assert "x-should-retry" not in caught.value.response.headers
    assert len(nexus.finished()) == 2


@pytest.mark.parametrize("kind", [BackendType.ANTHROPIC, BackendType.GOOGLE])
async def test_the_sdk_asks_once_for_an_endpoint_that_no_such_backend_has(
    kind: BackendType,
) -> None:
    async with (
        upstreams(say) as (only,),
        running(cloud("cloud", only.url, type=kind)) as nexus,
        openai.AsyncOpenAI(base_url=f"{nexus.http.base_url}/v1", api_key="x") as client,
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            await client.completions.create(model="m", prompt="x")

    assert caught.value.code == "endpoint_not_supported"
    assert len(nexus.finished()) == 1
    assert only.received == []
