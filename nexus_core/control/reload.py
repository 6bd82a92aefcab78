"""Plan a reload: changed backends, changed routes, keys that need a restart. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from nexus_core.aliases import matching_alias
from nexus_core.config.loopback import endpoint
from nexus_core.config.schema import (
    COMPUTED,
    BackendConfig,
    Config,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.config.sections.base import at_start
from nexus_core.fleet.circuit import NO_COOLDOWNS
from nexus_core.fleet.snapshot import BackendSnapshot, first_snapshot, is_same_server
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Policies, RoutingHints, read_requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import ModelDetails, PrivacyZone

# Decided when Nexus starts: the socket, the network library, the guard at the door, the ledger,
# the queue. The schema marks them.
_AT_START = at_start(Config)
_SERVER_AT_START = at_start(ServerConfig)
# Backends are compared one by one, and the dashboard reads its own table when it opens.
_LIVE = tuple(
    name
    for name in Config.model_fields
    if (name,) not in COMPUTED and name not in (*_AT_START, "backends", "tui")
)

_WORKED_OUT = {"api_key": "key", "via": "proxy"}  # what the environment says, for people

_HINTS = (RoutingHints(), RoutingHints(zone=PrivacyZone.RESTRICTED))
_MAX_ROUTES = 20  # lines for people; beyond these only the number is given


@dataclass(frozen=True, slots=True)
class BackendChange:
    """A backend with changed configuration keys."""

    name: str
    keys: tuple[str, ...]  # of the file, such as priority; no values


@dataclass(frozen=True, slots=True)
class RouteChange:
    """A model or alias with a changed first choice."""

    model: str
    is_restricted: bool  # of a request that says so itself; others are as before
    before: str  # for people: `local-llama`, `503 …`
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadPlan:
    """The changes of a reload."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[BackendChange, ...]
    live: tuple[str, ...]  # sections with changes that hold at once, such as routing
    restart: tuple[str, ...]  # keys and sections with changes that hold after a restart
    routes: tuple[RouteChange, ...]
    is_drawn: bool  # the strategy, before or after, is random: routes of equals are not compared
    unknown: tuple[str, ...]  # new backends whose models are known once they were asked
    unusable: tuple[str, ...]  # for people: backends of the file that are left out, and why
    config: Config  # what is in force after it: restart keys are as before
    fleet: tuple[BackendSnapshot, ...] = field(repr=False)  # the backends after it, as planned

    @property
    def is_empty(self) -> bool:
        """Nothing would be different."""
        backends = self.added or self.removed or self.changed
        return not (backends or self.live or self.restart or self.unusable)

    @property
    def lines(self) -> tuple[str, ...]:
        """The plan for people."""
        return tuple(_lines(self)) or ("nothing changes",)


def plan_reload(
    old: Config, new: Config, fleet: Sequence[BackendSnapshot], strategy: Strategy, at: float
) -> ReloadPlan:
    """Plan a reload: compare the active configuration with another one.

    Args:
        fleet: the backends as they are now; those that `old` does not have were found.
        strategy: of now; it is only looked at.
        at: monotonic seconds.
    """
    after = fleet_after(old, new, fleet)
    names = {backend.name for backend in fleet}
    kept = {backend.name for backend in after}
    before = {backend.name: backend for backend in old.backends}
    sections = [name for name in _LIVE if getattr(old, name) != getattr(new, name)]
    config = _in_force(old, new)
    if old.server == config.server and "server" in sections:
        sections.remove("server")
    random = {old.routing.strategy, new.routing.strategy} & {"random"}
    return ReloadPlan(
        added=tuple(b.name for b in after if b.name not in names),
        removed=tuple(b.name for b in fleet if b.name not in kept),
        changed=tuple(_changes(before, new, names)),
        live=tuple(sections),
        restart=tuple(_restart(old, new)),
        routes=() if random else tuple(_routes(old, new, (fleet, after), strategy, at)),
        is_drawn=bool(random),
        unknown=tuple(b.name for b in after if not b.models_known),
        unusable=tuple(u.why for u in new.unusable if u not in old.unusable),
        config=config,
        fleet=after,
    )


def fleet_after(
    old: Config, new: Config, fleet: Sequence[BackendSnapshot]
) -> tuple[BackendSnapshot, ...]:
    """Backends after a reload: those of the file in order, then discovered ones.

    A backend of the file wins over a found one of the same name or address. What an operator
    changed until restart stays so unless the file itself says something else than before.
    Cooldowns end.
    """
    now = {backend.name: backend for backend in fleet}
    before = {backend.name: backend for backend in old.backends}
    named = [renewed(b, now.get(b.name), before.get(b.name)) for b in new.backends]
    taken = {b.name for b in new.backends} | {u.name for u in new.unusable}
    places = {endpoint(b.url) for b in new.backends}
    found = [
        b for b in fleet if b.name not in before.keys() | taken and endpoint(b.url) not in places
    ]
    is_on = {backend.zone: backend.zone_enabled for backend in fleet}
    return tuple(
        replace(b, zone_enabled=is_on.get(b.zone, True), cooldown=None, cooldowns=NO_COOLDOWNS)
        for b in (*named, *found)
    )


def renewed(
    config: BackendConfig, now: BackendSnapshot | None, before: BackendConfig | None
) -> BackendSnapshot:
    """Snapshot of a reconfigured backend; learnt state stays if it is the same server.

    Args:
        now: the backend of that name as it is, if there is one.
        before: its configuration so far; None for one that was found.
    """
    fresh = first_snapshot(config)
    if now is None:
        return fresh
    if before is None or before.enabled == config.enabled:
        fresh = replace(fresh, enabled=now.enabled, toggled_at=now.toggled_at)
    if before is not None and before.tier == config.tier:
        fresh = replace(fresh, tier=now.tier)
    if before is not None and before.priority == config.priority:
        fresh = replace(fresh, priority=now.priority)
    is_other_way = before and (before.api_key, before.via) != (config.api_key, config.via)
    if not is_same_server(fresh, now) or is_other_way:
        return replace(fresh, in_flight=now.in_flight)
    learnt = replace(
        now,
        zone=fresh.zone,
        tier=fresh.tier,
        priority=fresh.priority,
        max_concurrent=fresh.max_concurrent,
        first_byte_timeout_seconds=fresh.first_byte_timeout_seconds,
        apis=fresh.apis if before is None or before.apis != config.apis else now.apis,
        enabled=fresh.enabled,
        toggled_at=fresh.toggled_at,
    )
    if config.models is None and (before is None or before.models is None):
        return learnt
    return replace(learnt, models=fresh.models, models_known=fresh.models_known)


def _in_force(old: Config, new: Config) -> Config:
    """The new one with what only a restart changes as it was."""
    server = {name: getattr(old.server, name) for name in _SERVER_AT_START}
    at_start = {name: getattr(old, name) for name in _AT_START}
    return new.model_copy(update={**at_start, "server": new.server.model_copy(update=server)})


def _restart(old: Config, new: Config) -> Iterator[str]:
    for key in _SERVER_AT_START:
        if getattr(old.server, key) != getattr(new.server, key):
            yield f"server.{key}"
    for section in _AT_START:
        if getattr(old, section) != getattr(new, section):
            yield section


def _changes(
    before: dict[str, BackendConfig], new: Config, present: set[str]
) -> Iterator[BackendChange]:
    for backend in new.backends:
        if backend.name not in present:
            continue
        was = before.get(backend.name)
        keys = [
            _WORKED_OUT.get(key, key)
            for key in type(backend).model_fields
            if was is not None and getattr(was, key) != getattr(backend, key)
        ]
        if keys:
            yield BackendChange(backend.name, tuple(dict.fromkeys(keys)))


# Routes -------------------------------------------------------------------------------------------


def _routes(
    old: Config,
    new: Config,
    fleets: tuple[Sequence[BackendSnapshot], Sequence[BackendSnapshot]],
    strategy: Strategy,
    at: float,
) -> Iterator[RouteChange]:
    served = [model for fleet in fleets for backend in fleet for model in backend.models]
    names = dict.fromkeys([*served, *old.routing.aliases, *new.routing.aliases])
    then = _Router(old.routing, fleets[0], strategy, at)
    now = _Router(new.routing, fleets[1], strategy, at)
    alike: dict[object, list[tuple[bool, str, str]]] = {}  # thousands may go the same way
    for model in names:
        kind = then.kind(model), now.kind(model)
        key: object = model if None in kind else kind
        if key not in alike:
            alike[key] = list(_changes_of(model, then, now))
        for restricted, before, after in alike[key]:
            yield RouteChange(model, restricted, before, after)


def _changes_of(model: str, then: _Router, now: _Router) -> Iterator[tuple[bool, str, str]]:
    seen: set[tuple[str, str]] = set()
    for hints in _HINTS:
        before, after = then.first(model, hints), now.first(model, hints)
        if before != after and (before, after) not in seen:
            seen.add((before, after))
            yield hints.zone is PrivacyZone.RESTRICTED, before, after


class _Router:
    """Where requests would go under one configuration and fleet."""

    def __init__(
        self,
        routing: RoutingConfig,
        fleet: Sequence[BackendSnapshot],
        strategy: Strategy,
        at: float,
    ) -> None:
        self._routing = routing
        strategy = strategy.under(routing)
        self._context = RoutingContext(tuple(fleet), strategy, at)  # an imagined one: no budget
        self._policies = Policies(routing.policies)

    def kind(self, model: str) -> Hashable:
        """The same for models that all go one way; None where the name itself may matter."""
        routing = self._routing
        if model in routing.fallbacks or self._policies.match(model):
            return None
        if matching_alias(model, routing.aliases):
            return None
        serving: list[tuple[str, ModelDetails | None]] = []
        for backend in self._context.fleet:
            own = backend.models.get(model)
            if own is not None and own != model:
                return None
            if own is not None:
                serving.append((backend.name, backend.details.get(own)))
        return tuple(serving)

    def first(self, model: str, hints: RoutingHints) -> str:
        need = read_requirements(model, hints, self._routing)
        return _outcome(route(need, self._context))


def _outcome(decision: RouteDecision) -> str:
    if not decision.order:
        return "no backend"
    first = decision.order[0]
    other = f" with {first.model}" if first.model != decision.need.model else ""
    return f"{first.backend.name}{other}"


# For people ---------------------------------------------------------------------------------------


def _lines(plan: ReloadPlan) -> Iterator[str]:
    for name in plan.added:
        yield f'backend "{name}": added'
    for name in plan.removed:
        yield f'backend "{name}": removed; running requests finish'
    for change in plan.changed:
        yield f'backend "{change.name}": {", ".join(change.keys)} changed'
    yield from plan.unusable
    for section in plan.live:
        yield f"[{section}] changed"
    for key in plan.restart:
        yield f"{key}: takes effect after a restart"
    for route_change in plan.routes[:_MAX_ROUTES]:
        who = " (restricted requests)" if route_change.is_restricted else ""
        yield f"{route_change.model}{who}: {route_change.before} → {route_change.after}"
    if (more := len(plan.routes) - _MAX_ROUTES) > 0:
        yield f"and {more} more models with another route"
    if plan.is_drawn and (plan.added or plan.removed or plan.changed or plan.live):
        yield "the order is random for each request: routes are not compared"
    for name in plan.unknown:
        yield f'backend "{name}": models are known after its first probe'
