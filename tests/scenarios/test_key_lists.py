"""Lists of models in every API: each key is shown what it may use, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.config.schema import RoutingConfig
from tests.scenarios.client_keys import AUTH, asked, bearer, create
from tests.scenarios.nexus import Nexus, backend, cloud, running, say, upstreams

_ROUTING = RoutingConfig(aliases={"near-one": "a", "far-one": "b", "small-one": "c", "any-*": "a"})


async def _listed(nexus: Nexus, key: dict[str, str]) -> list[set[str]]:
    async def get(path: str, **headers: str) -> Any:
        return (await nexus.http.get(path, headers=key | headers)).json()

    return [
        {one["id"] for one in (await get("/v1/models"))["data"]},
        {one["id"] for one in (await get("/v1/models", **{"anthropic-version": "1"}))["data"]},
        {
            one["name"].removeprefix("models/")
            for one in (await get("/v1/models", **{"x-goog-api-client": "1"}))["models"]
        },
        {one["name"].removeprefix("models/") for one in (await get("/v1beta/models"))["models"]},
        {one["name"] for one in (await get("/api/tags"))["models"]},
    ]


async def _found(nexus: Nexus, key: dict[str, str], model: str) -> list[bool]:
    show = await nexus.http.post("/api/show", json={"model": model}, headers=key)
    gets = [
        await nexus.http.get(f"{path}/{model}", headers=key)
        for path in ("/v1/models", "/v1beta/models")
    ]
    return [answer.status_code == 200 for answer in (show, *gets)]


@pytest.mark.parametrize(
    ("limits", "seen"),
    [
        ({}, {"a", "b", "c", "near-one", "far-one", "small-one"}),
        ({"zone": "restricted"}, {"a", "c", "near-one", "small-one"}),
        ({"tier": 2}, {"a", "b", "near-one", "far-one"}),
        ({"zone": "restricted", "tier": 2}, {"a", "near-one"}),
        ({"models": "near-*"}, {"near-one"}),
        ({"models": "b,c"}, {"b", "c", "far-one", "small-one"}),
        ({"models": "b,c", "zone": "restricted"}, {"c", "small-one"}),
        ({"models": "nothing"}, set[str]()),
    ],
)
async def test_a_key_sees_what_it_may_use_and_nothing_else(
    limits: dict[str, Any], seen: set[str]
) -> None:
    every = {"a", "b", "c", "near-one", "far-one", "small-one"}
    async with (
        upstreams(say, say, say) as (near, far, small),
        running(
            backend("near", near.url, models=("a",), tier=3),
            cloud("far", far.url, models=("b",), tier=4),
            backend("small", small.url, models=("c",), tier=1),
            auth=AUTH,
            routing=_ROUTING,
        ) as nexus,
    ):
        key = bearer(await create(nexus, **limits))

        assert await _listed(nexus, key) == [seen] * 5
        for model in every:
            assert await _found(nexus, key, model) == [model in seen] * 3, model
            answer = await nexus.ask(model, headers=key)
            assert (answer.status_code == 200) is (model in seen), model
        assert sum(map(asked, (near, far, small))) == len(seen)
