"""[limits] over real sockets: keys of the environment and created ones, on one node."""

from __future__ import annotations

from nexus_core.config.sections.limits import KeyLimitsConfig, LimitsConfig
from tests.scenarios.client_keys import MODELS, asked, bearer, create, served, shown
from tests.scenarios.nexus import Gate, error_of
from tests.waiting import until

OPS = bearer("the-ops-key")


async def test_a_key_of_the_environment_is_limited_with_a_true_wait() -> None:
    async with served(limits=LimitsConfig(requests_per_minute=2)) as (nexus, upstream):
        statuses = [(await nexus.ask(MODELS[0], headers=OPS)).status_code for _ in range(2)]

        refused = await nexus.ask(MODELS[0], headers=OPS)

        assert (statuses, refused.status_code) == ([200, 200], 429)
        assert refused.headers["retry-after"] == "30"
        assert error_of(refused)["code"] == "rate_limit_exceeded"
        assert "'ops'" in error_of(refused)["message"]
        assert asked(upstream) == 2
        nexus.clock.seconds += 30
        assert (await nexus.ask(MODELS[0], headers=OPS)).status_code == 200


async def test_of_a_created_keys_limits_and_those_of_all_the_strictest_holds() -> None:
    limits = LimitsConfig(requests_per_minute=3, max_concurrent=9)
    async with served(limits=limits) as (nexus, _):
        wide = bearer(await create(nexus, "wide", rpm=100))
        narrow = bearer(await create(nexus, "narrow", rpm=1))

        told = (await shown(nexus, "wide"))["used"]
        assert (told["rpm_limit"], told["parallel_limit"]) == (3, 9)
        for key, allowed in ((wide, 3), (narrow, 1)):
            statuses = [(await nexus.ask(MODELS[0], headers=key)).status_code for _ in range(4)]
            assert statuses == [200] * allowed + [429] * (4 - allowed)


async def test_one_key_may_have_limits_of_its_own() -> None:
    limits = LimitsConfig(max_concurrent=1, keys={"ops": KeyLimitsConfig(max_concurrent=2)})
    gate = Gate()
    async with served(script=gate, limits=limits) as (nexus, upstream):
        first = [nexus.start(MODELS[0], headers=OPS) for _ in range(2)]
        await until(lambda: asked(upstream) == 2)

        refused = await nexus.ask(MODELS[0], headers=OPS)

        assert refused.status_code == 429
        gate.open()
        assert [(await one).status_code for one in first] == [200, 200]
        told = (await nexus.http.get("/v1/stats", headers=OPS)).json()["keys"]["ops"]
        assert told | {"last_used": None} == {
            "last_used": None,
            "rpm_limit": None,
            "tpm_limit": None,
            "parallel_limit": 2,
            "requests_this_minute": 2,
            "tokens_this_minute": 14,
            "rpm_used": None,
            "tpm_used": None,
            "under_way": 0,
            "spent_usd": 0.0,
            "reserved_usd": 0.0,
        }


async def test_a_reload_changes_limits_and_keeps_what_is_used() -> None:
    async with served(limits=LimitsConfig(requests_per_minute=1)) as (nexus, _):
        live = nexus.gateway.live
        await nexus.ask(MODELS[0], headers=OPS)
        assert (await nexus.ask(MODELS[0], headers=OPS)).status_code == 429

        live.reload(live.config.model_copy(update={"limits": LimitsConfig(requests_per_minute=2)}))
        after = [(await nexus.ask(MODELS[0], headers=OPS)).status_code for _ in range(2)]
        live.reload(live.config.model_copy(update={"limits": LimitsConfig()}))

        assert after[-1] == 429
        assert (await nexus.ask(MODELS[0], headers=OPS)).status_code == 200
        assert nexus.gateway.keys.metered == ()
