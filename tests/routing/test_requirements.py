import pytest

from nexus_core.config.schema import PolicyConfig, RoutingConfig
from nexus_core.dialects.request import NO_DEMAND, Demand
from nexus_core.routing.requirements import NO_HINTS, RoutingHints, read_requirements
from nexus_core.routing.stages import Stage
from nexus_core.types import PrivacyZone, RouteReason
from tests.made_up_backends import MODEL, decide, snapshot

OPEN, RESTRICTED = PrivacyZone.OPEN, PrivacyZone.RESTRICTED


def routing(*policies: PolicyConfig, **aliases: str) -> RoutingConfig:
    return RoutingConfig(aliases=aliases, policies=policies)


def policy(pattern: str, privacy: PrivacyZone = OPEN, tier: int | None = None) -> PolicyConfig:
    return PolicyConfig(model_pattern=pattern, privacy=privacy, min_tier=tier)


def test_aliases_are_followed_three_times_and_every_name_is_kept() -> None:
    need = read_requirements("a", RoutingHints(), routing(a="b", b="c", c="d"))

    assert need.model == "d"
    assert need.resolved == ("a", "b", "c", "d")


@pytest.mark.parametrize("pattern", ["secret-a", "b", "c", "secret-*"])
def test_a_policy_on_any_of_the_names_restricts(pattern: str) -> None:
    config = RoutingConfig(
        aliases={"secret-a": "b", "b": "c"}, policies=(policy(pattern, RESTRICTED),)
    )

    need = read_requirements("secret-a", RoutingHints(), config)

    assert need.zone is RESTRICTED
    assert need.policies == (pattern,)


@pytest.mark.parametrize("pattern", ["claude-*", "*-20251001", "small", "qwen*"])
def test_a_policy_on_any_name_of_a_globs_chain_restricts(pattern: str) -> None:
    config = RoutingConfig(
        aliases={"claude-haiku-*": "small", "small": "qwen3:8b"},
        policies=(policy(pattern, RESTRICTED, 3),),
    )

    need = read_requirements("claude-haiku-4-5-20251001", NO_HINTS, config)

    assert need.resolved == ("claude-haiku-4-5-20251001", "small", "qwen3:8b")
    assert (need.zone, need.min_tier, need.policies) == (RESTRICTED, 3, (pattern,))


def test_an_open_policy_for_the_alias_does_not_loosen_the_one_for_the_model() -> None:
    config = routing(policy("a"), policy("b", RESTRICTED), a="b")

    assert read_requirements("a", RoutingHints(), config).zone is RESTRICTED


def test_the_first_matching_policy_counts_for_one_name() -> None:
    config = routing(policy("secret-public"), policy("secret-*", RESTRICTED))

    assert read_requirements("secret-public", RoutingHints(), config).zone is OPEN
    assert read_requirements("secret-x", RoutingHints(), config).zone is RESTRICTED


@pytest.mark.parametrize(("header", "by_policy"), [(RESTRICTED, OPEN), (OPEN, RESTRICTED)])
def test_of_two_privacy_demands_the_stricter_wins(
    header: PrivacyZone, by_policy: PrivacyZone
) -> None:
    hints = RoutingHints(zone=header)

    assert read_requirements("m", hints, routing(policy("*", by_policy))).zone is RESTRICTED


@pytest.mark.parametrize(("header", "by_policy"), [(1, 3), (3, 1), (None, 3), (3, None)])
def test_of_two_tiers_the_higher_wins(header: int | None, by_policy: int | None) -> None:
    hints = RoutingHints(min_tier=header)

    assert read_requirements("m", hints, routing(policy("*", OPEN, by_policy))).min_tier == 3


def test_a_fallback_is_bound_by_what_binds_the_asked_model_and_by_its_own_policies() -> None:
    config = RoutingConfig(
        aliases={"gpt-4": "big"},
        fallbacks={"gpt-4": ("other", "secret-other"), "big": ("other",)},
        policies=(policy("big", OPEN, 2), policy("secret-*", RESTRICTED, 3)),
    )

    need = read_requirements("gpt-4", RoutingHints(), config)

    assert [(f.model, f.zone, f.min_tier) for f in need.fallbacks] == [
        ("other", OPEN, 2),
        ("secret-other", RESTRICTED, 3),
    ]
    restricted = read_requirements("gpt-4", RoutingHints(zone=RESTRICTED), config)
    assert {f.zone for f in restricted.fallbacks} == {RESTRICTED}


@pytest.mark.parametrize(
    ("pattern", "asked"),
    [("secret", "secret:latest"), ("secret:latest", "secret"), ("secret", "secret")],
)
def test_a_policy_holds_for_both_spellings_of_an_ollama_name(pattern: str, asked: str) -> None:
    config = routing(policy(pattern, RESTRICTED))

    assert read_requirements(asked, RoutingHints(), config).zone is RESTRICTED


@pytest.mark.parametrize("upstream", ["secret", "secret:latest"])
def test_a_table_of_models_gets_around_no_policy(upstream: str) -> None:
    need = read_requirements(MODEL, RoutingHints(), routing(policy("secret", RESTRICTED)))
    renamed = snapshot("renamed", zone=OPEN, models={MODEL: upstream}, priority=90)
    plain = snapshot("plain", zone=OPEN, priority=10)

    decision = decide(need, renamed, plain)

    assert [choice.backend.name for choice in decision.order] == ["plain"]
    assert decision.reason is RouteReason.PRIVACY_REQUIREMENT
    assert need.zone is OPEN


def test_a_policy_s_tier_holds_behind_a_table_of_models() -> None:
    need = read_requirements(MODEL, RoutingHints(), routing(policy("big", OPEN, 4)))

    decision = decide(need, snapshot("weak", tier=1, models={MODEL: "big"}))

    assert [drop.stage for drop in decision.dropped] == [Stage.TIER]


def test_the_same_question_gets_the_very_same_value() -> None:
    config, hints = routing(policy("m", RESTRICTED)), RoutingHints(min_tier=2)

    first = read_requirements("m", hints, config)

    assert read_requirements("m", RoutingHints(min_tier=2), config) is first
    assert read_requirements("m", NO_HINTS, config) is read_requirements("m", NO_HINTS, config)
    assert read_requirements("m", NO_HINTS, config).min_tier is None
    assert read_requirements("m", hints, routing(policy("m", OPEN))).zone is OPEN


def test_what_was_read_under_a_configuration_does_not_outlast_it() -> None:
    seen = {
        read_requirements("m", NO_HINTS, routing(policy("m", OPEN, number % 5))).min_tier
        for number in range(40)
    }

    assert seen == {0, 1, 2, 3, 4}


def test_what_a_request_asks_for_is_asked_of_its_fallbacks_too() -> None:
    config = RoutingConfig(fallbacks={"m": ("other",)})
    demand = Demand(prompt_tokens=7)

    need = read_requirements("m", NO_HINTS, config).asking(demand)

    assert [one.demand for one in need.candidate_models] == [demand, demand]
    assert read_requirements("m", NO_HINTS, config).demand == NO_DEMAND
