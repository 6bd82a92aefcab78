"""Created client keys over real sockets: who comes in, what each may use, what is told of them."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from pathlib import Path

import pytest

from nexus_core.config.schema import (
    RoutingConfig,
    StorageConfig,
)
from nexus_core.keys import changes
from nexus_core.keys.store import KeyStore
from nexus_core.observe.event_json import as_json
from nexus_core.types import PrivacyZone
from tests.scenarios.client_keys import (
    ADMIN,
    AUTH,
    MODELS,
    asked,
    bearer,
    command,
    create,
    served,
)
from tests.scenarios.money import ledger
from tests.scenarios.nexus import (
    Clock,
    backend,
    cloud,
    error_of,
    running,
    say,
    upstreams,
)
from tests.waiting import until

# Who comes in -------------------------------------------------------------------------------------


async def test_a_created_key_comes_in_and_is_told_by_its_name() -> None:
    async with served() as (nexus, _):
        secret = await create(nexus)

        answers = [
            await nexus.ask(MODELS[0], headers=headers)
            for headers in (bearer(secret), {"x-api-key": secret}, {"x-goog-api-key": secret})
        ]

        assert [answer.status_code for answer in answers] == [200] * 3
        assert {record.client for record in nexus.gateway.recent.newest(9)} == {"laptop"}
        by_ops = await nexus.ask(MODELS[0], headers=bearer("the-ops-key"))
        assert by_ops.status_code == 200


async def test_unknown_expired_revoked_rotated_and_blocked_are_refused_word_for_word() -> None:
    async with served() as (nexus, upstream):
        expired = await create(nexus, "short", expires="3s")
        revoked = await create(nexus, "gone")
        rotated = await create(nexus, "turned")
        blocked = await create(nexus, "shut")
        for secret in (expired, revoked, rotated, blocked):
            assert (await nexus.ask(MODELS[0], headers=bearer(secret))).status_code == 200
        await command(nexus, "gone/revoke")
        await command(nexus, "shut/block", blocked=True)
        new = (await command(nexus, "turned/rotate"))["secret"]
        nexus.clock.seconds += 3
        unknown = "nx-abcdefgh-" + "x" * 43

        refused = [
            await nexus.ask(MODELS[0], headers=bearer(secret))
            for secret in (unknown, expired, revoked, rotated, blocked, revoked[:-1])
        ]

        assert {answer.status_code for answer in refused} == {401}
        assert len({answer.text for answer in refused}) == 1
        assert asked(upstream) == 4
        assert (await nexus.ask(MODELS[0], headers=bearer(new))).status_code == 200
        await command(nexus, "shut/block", blocked=False)
        assert (await nexus.ask(MODELS[0], headers=bearer(blocked))).status_code == 200


async def test_a_rotated_secret_is_taken_for_its_grace() -> None:
    async with served() as (nexus, _):
        old = await create(nexus)
        told = await command(nexus, "laptop/rotate", grace="24h")
        assert told["old_secret_until"] is not None

        nexus.clock.seconds += 24 * 3600 - 1
        within = [await nexus.ask(MODELS[0], headers=bearer(key)) for key in (old, told["secret"])]
        nexus.clock.seconds += 1
        after = [await nexus.ask(MODELS[0], headers=bearer(key)) for key in (old, told["secret"])]

        assert [answer.status_code for answer in within] == [200, 200]
        assert [answer.status_code for answer in after] == [401, 200]


async def test_a_created_key_has_no_operators_rights() -> None:
    async with served() as (nexus, _):
        secret = await create(nexus)

        for path in ("/nexus/state", "/nexus/keys"):
            answer = await nexus.http.get(path, headers=bearer(secret))
            assert answer.status_code == 403
        made = await nexus.http.post("/nexus/keys", json={"name": "x"}, headers=bearer(secret))
        assert made.status_code == 403
        assert (await nexus.http.get("/nexus/keys")).status_code == 401


async def test_once_there_is_a_key_nobody_comes_in_without_one() -> None:
    async with (
        upstreams(say) as (upstream,),
        running(backend("b", upstream.url, models=MODELS)) as nexus,
    ):
        assert (await nexus.ask(MODELS[0])).status_code == 200
        secret = await create(nexus)

        without = await nexus.ask(MODELS[0])
        with_key = await nexus.ask(MODELS[0], headers=bearer(secret))
        await command(nexus, "laptop/revoke")
        after_all = await nexus.ask(MODELS[0])

        assert (without.status_code, with_key.status_code) == (401, 200)
        assert after_all.status_code == 401
        assert (await nexus.http.get("/health")).status_code == 200


@pytest.mark.parametrize("name", ["ops", "laptop", "admin", "a b"])
async def test_a_name_is_given_once(name: str) -> None:
    async with served() as (nexus, _):
        await create(nexus)

        refused = await nexus.http.post("/nexus/keys", json={"name": name}, headers=ADMIN)

        assert refused.status_code == 400
        assert len((await nexus.http.get("/nexus/keys", headers=ADMIN)).json()["keys"]) == 1


# What it may use ----------------------------------------------------------------------------------


async def test_a_model_outside_its_globs_is_never_sent_and_not_listed() -> None:
    routing = RoutingConfig(
        aliases={"gpt-4": MODELS[0], "big": MODELS[1]}, fallbacks={"llama-old": (MODELS[1],)}
    )
    async with served(routing=routing) as (nexus, upstream):
        key = bearer(await create(nexus, models="llama*"))

        refused = [await nexus.ask(model, headers=key) for model in (MODELS[1], "big", "nobody")]
        no_fallback = await nexus.ask("llama-old", headers=key)

        assert {answer.status_code for answer in refused} == {403}
        assert {error_of(answer)["code"] for answer in refused} == {"model_not_allowed"}
        assert (no_fallback.status_code, asked(upstream)) == (404, 0)
        assert (await nexus.ask("gpt-4", headers=key)).status_code == 200
        allowed = {MODELS[0], "gpt-4"}
        listed = (await nexus.http.get("/v1/models", headers=key)).json()["data"]
        assert {one["id"] for one in listed} == allowed
        claudes = await nexus.http.get("/v1/models", headers=key | {"anthropic-version": "1"})
        assert {one["id"] for one in claudes.json()["data"]} == allowed
        googles = (await nexus.http.get("/v1beta/models", headers=key)).json()["models"]
        assert {one["name"].removeprefix("models/") for one in googles} == allowed
        tags = (await nexus.http.get("/api/tags", headers=key)).json()["models"]
        assert {one["name"] for one in tags} == allowed
        for path in (f"/v1/models/{MODELS[1]}", f"/v1beta/models/{MODELS[1]}", "/v1/models/big"):
            assert (await nexus.http.get(path, headers=key)).status_code == 404
        show = await nexus.http.post("/api/show", json={"model": MODELS[1]}, headers=key)
        assert show.status_code == 404
        every = (await nexus.http.get("/v1/models", headers=bearer("the-ops-key"))).json()["data"]
        assert {one["id"] for one in every} == {*MODELS, "gpt-4", "big"}


async def test_no_header_and_no_pin_lifts_the_zone_of_a_key() -> None:
    async with (
        upstreams(say, say) as (near, far),
        running(
            backend("near", near.url, models=("a",)),
            cloud("far", far.url, models=("a", "b")),
            auth=AUTH,
        ) as nexus,
    ):
        key = bearer(await create(nexus, zone="restricted"))

        for headers in ({}, {"X-Nexus-Privacy-Zone": "open"}, {"X-Nexus-Backend": "far"}):
            answer = await nexus.ask("b", headers=key | headers)
            assert answer.status_code == 503
            assert error_of(answer)["code"] == "privacy_constraint_violation"
        served = await nexus.ask("a", headers=key | {"X-Nexus-Privacy-Zone": "open"})

        assert served.headers["x-nexus-backend"] == "near"
        assert asked(far) == 0
        listed = (await nexus.http.get("/v1/models", headers=key)).json()["data"]
        assert [one["id"] for one in listed] == ["a"]


async def test_its_tier_is_the_least_that_its_requests_ask_for() -> None:
    async with (
        upstreams(say, say) as (small, large),
        running(
            backend("small", small.url, models=("a",), tier=1, priority=90),
            backend("large", large.url, models=("a",), tier=3),
            auth=AUTH,
        ) as nexus,
    ):
        key = bearer(await create(nexus, tier=2))

        served = await nexus.ask("a", headers=key | {"X-Nexus-Min-Tier": "0"})
        too_high = await nexus.ask("a", headers=key | {"X-Nexus-Min-Tier": "4"})

        assert served.headers["x-nexus-backend"] == "large"
        assert too_high.status_code == 503
        assert asked(small) == 0


# The file, and what is told -----------------------------------------------------------------------


async def test_a_change_of_the_file_by_another_process_is_gone_by_soon(tmp_path: Path) -> None:
    storage = StorageConfig(path=str(tmp_path / "nexus.db"))
    store, at = KeyStore(tmp_path / "keys.db"), Clock().wall()
    async with served(storage=storage) as (nexus, _):
        issued = await asyncio.to_thread(changes.create, store, "laptop", {}, at, ())
        key = bearer(issued.secret)

        async def status() -> int:
            return (await nexus.ask(MODELS[0], headers=key)).status_code

        async def comes_in() -> bool:
            return await status() == 200

        async def is_refused() -> bool:
            return await status() == 401

        await until(comes_in)
        await asyncio.to_thread(changes.revoke, store, "laptop", at)
        await until(is_refused)


async def test_keys_outlive_a_restart_and_a_broken_file_opens_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = StorageConfig(path=str(tmp_path / "nexus.db"))
    async with served(storage=storage) as (nexus, _):
        secret = await create(nexus)
        revoked = await create(nexus, "gone")
        await command(nexus, "gone/revoke")
    async with served(storage=storage) as (nexus, _):
        statuses = [
            (await nexus.ask(MODELS[0], headers=bearer(key))).status_code
            for key in (secret, revoked)
        ]
        assert statuses == [200, 401]
    (tmp_path / "keys.db").write_bytes(b"rubbish" * 1000)
    async with (
        upstreams(say) as (upstream,),
        running(backend("b", upstream.url, models=MODELS), storage=storage) as nexus,
    ):
        for headers in ({}, bearer(secret)):
            assert (await nexus.ask(MODELS[0], headers=headers)).status_code == 401
        assert "keys.db" in (await nexus.http.get("/nexus/keys")).json()["problem"]
    assert "keys.db" in caplog.text


async def test_a_secret_is_told_once_and_stands_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    storage = StorageConfig(path=str(tmp_path / "nexus.db"))
    texts: list[str] = []
    async with served(storage=storage) as (nexus, _):
        secret = await create(nexus, rpm=1, models="llama*")
        key = bearer(secret)
        nexus.gateway.captures.switch(True)
        asked_for = (MODELS[0], MODELS[0], MODELS[1])
        texts += [(await nexus.ask(model, headers=key)).text for model in asked_for]
        in_url = await nexus.http.get("/v1beta/models", params={"key": secret})
        assert in_url.status_code == 401
        wrong = await nexus.ask(MODELS[0], headers=bearer(secret + "x"))
        texts += [in_url.text, wrong.text]
        for path in ("keys", "keys/laptop", "actions", "state", "requests", "logs"):
            texts.append((await nexus.http.get(f"/nexus/{path}", headers=ADMIN)).text)
        texts += [json.dumps(as_json(event)) for event in nexus.events()]
        texts.append(str((await nexus.http.get("/metrics", headers=ADMIN)).text))
    texts += [str(row) for row in ledger(tmp_path)]
    with sqlite3.connect(tmp_path / "nexus.db") as connection:
        texts += list(connection.iterdump())
    connection.close()

    assert "laptop" in "".join(texts)
    assert secret[12:] not in "".join(texts)
    own = [record.getMessage() for record in caplog.records if "http" not in record.name]
    assert any("created client key laptop" in line for line in own)
    assert secret[12:] not in "".join(own)


async def test_what_operators_did_with_keys_is_on_record() -> None:
    async with served() as (nexus, _):
        await create(nexus)
        await command(nexus, "laptop", rpm=5)
        await command(nexus, "laptop/rotate")
        await command(nexus, "laptop/block", blocked=True)
        await command(nexus, "laptop/block", blocked=False)
        await command(nexus, "laptop/revoke")
        failed = await nexus.http.post("/nexus/keys/ghost/revoke", json={}, headers=ADMIN)

        assert failed.status_code == 404
        told = (await nexus.http.get("/nexus/actions", headers=ADMIN)).json()["actions"]
        assert [one["action"] for one in told] == [
            *("key_revoked", "key_revoked", "key_unblocked", "key_blocked"),
            *("key_rotated", "key_limited", "key_created"),
        ]
        assert [one["target"] for one in told] == ["ghost", *["laptop"] * 6]
        assert told[0]["error"] is not None


async def test_a_restricted_key_goes_on_when_it_is_replayed() -> None:
    async with (
        upstreams(say, say) as (near, far),
        running(
            backend("near", near.url, models=("a",)),
            cloud("far", far.url, models=("a",)),
            auth=AUTH,
        ) as nexus,
    ):
        nexus.gateway.captures.switch(True)
        key = bearer(await create(nexus, zone="restricted"))
        answer = await nexus.ask("a", headers=key)
        request_id = answer.headers["x-nexus-request-id"]

        replayed = await nexus.http.post(
            f"/nexus/requests/{request_id}/replay", json={"backend": "far"}, headers=ADMIN
        )

        assert replayed.status_code in {400, 403, 503}
        assert asked(far) == 0
        assert nexus.backend("near").zone is PrivacyZone.RESTRICTED


async def test_without_created_keys_nothing_of_them_is_made() -> None:
    async with served() as (nexus, _):
        answer = await nexus.ask(MODELS[0], headers=bearer("the-ops-key"))

        assert answer.status_code == 200
        assert nexus.gateway.keys.table is None
