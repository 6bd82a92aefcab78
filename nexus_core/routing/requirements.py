"""What a request needs: its model after aliases, its zone, its tier, its pin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from nexus_core.config import MAX_ALIAS_STEPS, PolicyConfig, RoutingConfig
from nexus_core.translation.traits import NO_TRAITS, Traits
from nexus_core.types import PrivacyZone


@dataclass(frozen=True, slots=True)
class RoutingHints:
    """What the client's X-Nexus-* headers ask for."""

    zone: PrivacyZone = PrivacyZone.OPEN
    min_tier: int | None = None
    backend: str | None = None  # the pin
    priority: Literal["high", "normal"] = "normal"
    flexible: bool = False


NO_HINTS = RoutingHints()


@dataclass(frozen=True, slots=True)
class Requirements:
    """Everything that narrows down who may serve a request."""

    model: str  # after aliases
    resolved: tuple[str, ...] = ()  # the asked model, then each alias it went through
    zone: PrivacyZone = PrivacyZone.OPEN  # restricted: only restricted backends
    min_tier: int | None = None
    backend: str | None = None
    policies: tuple[str, ...] = ()  # the patterns that matched
    is_high_priority: bool = False  # in the queue
    is_flexible: bool = False  # a fallback may go below the first choice's tier
    traits: Traits = NO_TRAITS  # what the request itself shows
    fallbacks: tuple[Requirements, ...] = ()  # the same request for other models, in order


def read_requirements(
    model: str, hints: RoutingHints, routing: RoutingConfig, traits: Traits = NO_TRAITS
) -> Requirements:
    """Combine the asked model, the headers and the configured policies; the stricter wins.

    For each of the model's names the first matching policy counts, so that neither an alias nor
    the name behind it gets around a policy; `open` never loosens anything. A fallback model is
    bound by what binds the asked one, and by its own policies.
    """
    asked = replace(
        _for_model(resolve_aliases(model, routing.aliases), hints, routing), traits=traits
    )
    others = dict.fromkeys(
        other for name in asked.resolved for other in routing.fallbacks.get(name, ())
    )
    bound = replace(hints, zone=asked.zone, min_tier=asked.min_tier)
    fallbacks = [
        replace(_for_model(resolve_aliases(other, routing.aliases), bound, routing), traits=traits)
        for other in others
    ]
    by_model: dict[str, Requirements] = {}  # two names may resolve to one: the first counts
    for fallback in fallbacks:
        if fallback.model != asked.model:
            by_model.setdefault(fallback.model, fallback)
    return replace(asked, fallbacks=tuple(by_model.values()))


def _for_model(
    resolved: tuple[str, ...], hints: RoutingHints, routing: RoutingConfig
) -> Requirements:
    policies = [
        policy for name in resolved if (policy := _first_match(name, routing.policies)) is not None
    ]
    zones = {hints.zone, *(policy.privacy for policy in policies)}
    tiers = [hints.min_tier, *(policy.min_tier for policy in policies)]
    return Requirements(
        model=resolved[-1],
        resolved=resolved,
        zone=PrivacyZone.RESTRICTED if PrivacyZone.RESTRICTED in zones else PrivacyZone.OPEN,
        min_tier=max((tier for tier in tiers if tier is not None), default=None),
        backend=hints.backend,
        policies=tuple(dict.fromkeys(policy.model_pattern for policy in policies)),
        is_high_priority=hints.priority == "high",
        is_flexible=hints.flexible,
    )


def resolve_aliases(model: str, aliases: dict[str, str]) -> tuple[str, ...]:
    """The asked name and each alias after it; the last one is what backends are asked for."""
    names = [model]
    while (target := aliases.get(names[-1])) is not None and len(names) <= MAX_ALIAS_STEPS:
        names.append(target)
    return tuple(names)


def _first_match(name: str, policies: tuple[PolicyConfig, ...]) -> PolicyConfig | None:
    return next((p for p in policies if fnmatchcase(name, p.model_pattern)), None)
