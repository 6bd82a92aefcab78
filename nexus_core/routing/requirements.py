"""Requirements of a request: resolved model, zone, tier, pin."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec.structs import replace

from nexus_core.aliases import resolve_aliases
from nexus_core.config.schema import PolicyConfig, RoutingConfig
from nexus_core.dialects.request import NO_DEMAND, Demand
from nexus_core.types import PrivacyZone


class RoutingHints(msgspec.Struct, frozen=True):
    """Routing hints of a client, from X-Nexus-* headers."""

    zone: PrivacyZone = PrivacyZone.OPEN
    min_tier: int | None = None
    backend: str | None = None  # the pin
    priority: Literal["high", "normal"] = "normal"
    flexible: bool = False


NO_HINTS = RoutingHints()

_IMPLIED_TAG = ":latest"


class Policies:
    """Routing policies; caches the policy of each model name."""

    def __init__(self, policies: tuple[PolicyConfig, ...] = ()) -> None:
        self._policies = policies
        self._known: dict[str, PolicyConfig | None] = {}

    def match(self, name: str) -> PolicyConfig | None:
        """The first that matches the model's name, in one of its spellings."""
        if not self._policies:
            return None
        if name not in self._known:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> PolicyConfig | None:
        told = spellings(name)
        for policy in self._policies:
            if any(fnmatchcase(spelling, policy.model_pattern) for spelling in told):
                return policy
        return None


NO_POLICIES = Policies()
_MAX_KNOWN = 4096  # names
_MAX_CONFIGURATIONS = 8
_policies_of = lru_cache(maxsize=_MAX_CONFIGURATIONS)(Policies)  # one for each configuration


class Requirements(msgspec.Struct, frozen=True):
    """Requirements of a request on its backend."""

    model: str  # after aliases
    resolved: tuple[str, ...] = ()  # the asked model, then each alias it went through
    zone: PrivacyZone = PrivacyZone.OPEN  # restricted: only restricted backends
    min_tier: int | None = None
    backend: str | None = None
    policies: tuple[str, ...] = ()  # the patterns that matched
    is_high_priority: bool = False  # in the queue
    is_flexible: bool = False  # a fallback may go below the first choice's tier
    demand: Demand = NO_DEMAND  # what the request itself asks for
    rules: Policies = NO_POLICIES  # for the names that backends have
    fallbacks: tuple[Requirements, ...] = ()  # the same request for other models, in order

    @property
    def candidate_models(self) -> tuple[Requirements, ...]:
        """The request for the asked model, then the same for each fallback, in order."""
        return (self, *self.fallbacks)

    def asking(self, demand: Demand) -> Requirements:
        """The same, and what a request itself asks for; of its fallbacks too."""
        fallbacks = tuple(replace(other, demand=demand) for other in self.fallbacks)
        return replace(self, demand=demand, fallbacks=fallbacks)

    def rule_for(self, upstream_model: str) -> PolicyConfig | None:
        """The policy that matches a backend's own name of the model, where it is another name.

        A table of models renames as an alias does, and gets around a policy no more than one.
        """
        return None if upstream_model in self.resolved else self.rules.match(upstream_model)


class _Read:
    """What was read under one configuration: most requests ask for what another one asked for."""

    __slots__ = ("found", "routing")

    def __init__(self, routing: RoutingConfig) -> None:
        self.routing = routing  # kept, so that no other one gets its identity
        self.found: dict[str | tuple[str, RoutingHints], Requirements] = {}


_read: dict[int, _Read] = {}  # by the identity of the configuration


def read_requirements(model: str, hints: RoutingHints, routing: RoutingConfig) -> Requirements:
    """Requirements from model, hints and policies; the stricter wins.

    For each of the model's names the first matching policy counts, so that neither an alias nor
    the name behind it gets around a policy; `open` never loosens anything. A fallback model is
    bound by what binds the asked one, and by its own policies.

    The same question gets the very same value again, which what is worked out for it is kept by;
    what the request itself asks for is not in it: see `asking`.
    """
    read = _read.get(id(routing))
    if read is None:
        if len(_read) >= _MAX_CONFIGURATIONS:
            _read.clear()
        read = _read[id(routing)] = _Read(routing)
    key = model if hints is NO_HINTS else (model, hints)
    need = read.found.get(key)
    if need is None:
        if len(read.found) >= _MAX_KNOWN:
            read.found.clear()
        need = read.found[key] = _work_out(model, hints, routing)
    return need


def _work_out(model: str, hints: RoutingHints, routing: RoutingConfig) -> Requirements:
    resolved = resolve_aliases(model, routing.aliases) if routing.aliases else (model,)
    asked = _for_model(resolved, hints, routing)
    if not routing.fallbacks:
        return asked
    others = dict.fromkeys(
        other for name in asked.resolved for other in routing.fallbacks.get(name, ())
    )
    bound = replace(hints, zone=asked.zone, min_tier=asked.min_tier)
    by_model: dict[str, Requirements] = {}  # two names may resolve to one: the first counts
    for other in others:
        fallback = _for_model(resolve_aliases(other, routing.aliases), bound, routing)
        if fallback.model != asked.model:
            by_model.setdefault(fallback.model, fallback)
    return replace(asked, fallbacks=tuple(by_model.values()))


def _for_model(
    resolved: tuple[str, ...], hints: RoutingHints, routing: RoutingConfig
) -> Requirements:
    rules = _policies_of(routing.policies) if routing.policies else NO_POLICIES
    policies = [p for name in resolved if (p := rules.match(name))] if routing.policies else []
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
        rules=rules,
    )


def spellings(model: str) -> tuple[str, ...]:
    """The name, and the one that Ollama takes for the same model: its tag `latest` is implied."""
    if model.endswith(_IMPLIED_TAG):
        return model, model.removesuffix(_IMPLIED_TAG)
    return (model,) if ":" in model else (model, model + _IMPLIED_TAG)
