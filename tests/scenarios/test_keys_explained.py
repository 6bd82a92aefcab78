"""What is told about what a created key may use: explained routes, near names, names and files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nexus_core.config.schema import RoutingConfig, StorageConfig
from nexus_core.keys import changes
from nexus_core.keys.store import KeyStore
from tests.scenarios.client_keys import ADMIN, AUTH, MODELS, bearer, command, create, served
from tests.scenarios.nexus import Clock, Nexus, backend, cloud, error_of, running, say, upstreams


async def _explained(nexus: Nexus, model: str, client: str = "laptop") -> Any:
    asked = {"question": {"model": model, "client": client}}
    return await nexus.http.post("/nexus/explain", json=asked, headers=ADMIN)


async def test_a_route_is_explained_as_it_would_be_for_the_key() -> None:
    async with (
        upstreams(say, say, say) as (near, far, small),
        running(
            backend("near", near.url, models=("a",), tier=3),
            cloud("far", far.url, models=("a", "b"), tier=4, priority=100),
            backend("small", small.url, models=("a", "c"), tier=1, priority=60),
            auth=AUTH,
            routing=RoutingConfig(strategy="priority_only"),
        ) as nexus,
    ):
        key = bearer(await create(nexus, models="a,b", zone="restricted", tier=2))

        chosen = await _explained(nexus, "a")
        served_by = (await nexus.ask("a", headers=key)).headers["x-nexus-backend"]
        in_cloud = (await _explained(nexus, "b")).json()
        not_allowed = await _explained(nexus, "c")
        for_another = (await _explained(nexus, "a", client="ops")).json()

        assert chosen.json()["chosen"]["backend"] == served_by == "near"
        assert in_cloud["chosen"] is None
        assert in_cloud["refused"]["code"] == "privacy_constraint_violation"
        assert not_allowed.status_code == 403
        assert error_of(not_allowed)["code"] == "model_not_allowed"
        assert for_another["chosen"]["backend"] == "far"


async def test_near_names_are_those_that_the_key_may_use() -> None:
    routing = RoutingConfig(aliases={"llama-small": MODELS[1]})
    async with served(routing=routing) as (nexus, _):
        key = bearer(await create(nexus, models="llama3*,qwen3*"))

        near = [
            error_of(await nexus.ask(model, headers=key))["message"]
            for model in ("llama3:70", "qwen3:72b", "llama3-small")
        ]
        for_all = error_of(await nexus.ask("qwen3:72b", headers=bearer("the-ops-key")))["message"]

        assert MODELS[0] in near[0]
        assert MODELS[1] not in near[1]
        assert "llama-small" not in near[2]
        assert MODELS[1] in for_all


async def test_the_limit_that_takes_longest_is_told() -> None:
    async with served() as (nexus, _):
        key = bearer(await create(nexus, rpm=60, tpm=60))
        await nexus.ask(MODELS[0], headers=key)
        for _ in range(59):
            await nexus.ask(MODELS[0], headers=key)

        refused = await nexus.ask(MODELS[0], headers=key, max_tokens=50)

        assert refused.status_code == 429
        assert "tokens a minute" in error_of(refused)["message"]
        assert int(refused.headers["retry-after"]) > 1


async def test_a_name_of_both_kinds_of_keys_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = StorageConfig(path=str(tmp_path / "nexus.db"))
    changes.create(KeyStore(tmp_path / "keys.db"), "ops", {}, Clock().wall(), ())
    async with served(storage=storage) as (nexus, _):
        await create(nexus)
        await command(nexus, "laptop", rpm=5)

    warned = [record for record in caplog.records if "both called ops" in record.getMessage()]
    assert [record.levelno for record in warned] == [logging.WARNING]


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder in which nothing can be looked at, by whoever it is: a loop of links."""
    folder = tmp_path / "loop"
    folder.symlink_to(folder)
    return folder


async def test_a_file_that_cannot_be_looked_at_opens_nothing(closed_folder: Path) -> None:
    storage = StorageConfig(path=str(closed_folder / "nexus.db"))
    async with (
        upstreams(say) as (upstream,),
        running(backend("b", upstream.url, models=MODELS), storage=storage) as nexus,
    ):
        assert (await nexus.ask(MODELS[0])).status_code == 401
        assert "keys.db" in (await nexus.http.get("/nexus/keys")).json()["problem"]


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+10:00"])
async def test_a_moment_at_the_end_of_time_is_refused(moment: str) -> None:
    async with served() as (nexus, _):
        refused = await nexus.http.post(
            "/nexus/keys", json={"name": "laptop", "expires": moment}, headers=ADMIN
        )

        assert refused.status_code == 400
        assert error_of(refused)["param"] == "expires"
