"""Decision plans: what the decision for one kind of request depends on that lasts, worked out once.

What lasts holds as long as the fleet has one version and the strategy one configuration: who serves
the model, switches, zones, tiers, health, weights. A `Moment` holds the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

import msgspec

from nexus_core.dialects.request import Demand
from nexus_core.fleet.live import LiveBackend, with_load
from nexus_core.money.accounting import MoneyRule
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import Choice, RouteDecision, Told, choice_of, reason_of, route
from nexus_core.routing.scoring import Ranked, Scorer, Strategy, load_of, rotated
from nexus_core.routing.stages import DEMANDS, Stage, lasting_drops
from nexus_core.types import Capability, RouteReason

_ZONE_ALONE = frozenset({Stage.ZONE})


class Moment(msgspec.Struct, eq=False, gc=False):
    """What a decision depends on that does not last, as it is when it is made."""

    strategy: Strategy
    turn: int
    familiar: str | None  # who served the beginning of the conversation
    at: float  # monotonic seconds
    tried: Mapping[str, str]  # backends that failed this request, and how; nobody changes it
    prompt_tokens: int
    money: MoneyRule | None = None  # None: no budget limits the request
    prefers_local: bool = False  # spending near its limit

    @classmethod
    def of(cls, demand: Demand, strategy: Strategy, at: float, tried: Mapping[str, str]) -> Moment:
        """The moment for a request, but for what it may cost."""
        familiar = strategy.affinity.recall(demand.prefixes, demand.session)
        return cls(strategy, strategy.turn, familiar, at, tried, demand.prompt_tokens)


class Option:
    """A backend that may serve a model, with what lasts of it worked out."""

    __slots__ = (
        *("backend", "choice", "cooldowns", "is_cloud", "lasting", "live", "max_concurrent"),
        *("model", "most", "name", "priority", "scorer", "tier", "window"),
    )

    def __init__(
        self, live: LiveBackend, model: str, strategy: Strategy, lasting: Stage | None
    ) -> None:
        """
        Args:
            model: as clients call it.
            lasting: the one stage that keeps it away whatever the moment: its zone, or none.
        """
        backend = live.frozen
        self.live = live
        self.backend = backend
        self.name = backend.name
        self.choice = choice_of(Ranked(backend), model)
        self.model = self.choice.upstream_model
        self.tier = backend.tier
        self.priority = backend.priority
        self.is_cloud = backend.type.is_cloud
        self.max_concurrent = backend.max_concurrent
        self.most = backend.most  # of them, from this process
        self.cooldowns = backend.cooldowns_of(self.model)
        details = backend.details.get(self.model)
        self.window = None if details is None else details.context_tokens
        self.scorer = Scorer(strategy.weights, backend, model)
        self.lasting = lasting


_Ranking = Callable[[list[Option], Moment], list[Option]]


class Plan:
    """The plan of one kind of request: its requirements, and the capabilities that it needs."""

    __slots__ = ("_able", "_options", "_rank", "capabilities", "fleet", "need", "routing", "served")

    def __init__(
        self,
        need: Requirements,
        capabilities: frozenset[Capability],
        fleet: tuple[LiveBackend, ...],
        strategy: Strategy,
    ) -> None:
        self.need = need
        self.capabilities = capabilities
        self.routing = strategy.routing
        self.fleet = tuple(live.frozen for live in fleet)  # their loads are not looked at
        asking = need.asking(Demand(capabilities=capabilities)).candidate_models
        models = {one.model for one in asking}
        # With its place in the fleet: each that serves a model, whose load may matter.
        self.served = tuple(
            (place, live)
            for place, live in enumerate(fleet)
            if not models.isdisjoint(live.frozen.models)
        )
        served = [live for _, live in self.served]
        self._options = tuple(_options(one, served, strategy) for one in asking)
        # Whose first sets the tier that no fallback goes below.
        self._able = () if need.is_flexible else _able(asking[0], served, strategy)
        self._rank = _ranking(strategy)

    def choose(self, moment: Moment) -> tuple[Choice, RouteReason] | None:
        """The backend that serves the request, and why; None where nobody can now."""
        missed: list[Stage] = []
        floor: int | None = None
        for place, options in enumerate(self._options):
            if place == 1 and self._able:
                floor = self._floor(moment)
            within_reach, obstacles = _within_reach(options, moment, floor)
            if len(within_reach) > 1:
                within_reach = self._rank(within_reach, moment)
                if moment.prefers_local:
                    within_reach.sort(key=_is_cloud)
            for option in within_reach:
                if obstacles is None or option not in obstacles:
                    return option.choice, reason_of(missed, has_failed=bool(moment.tried))
                missed.append(obstacles[option])
        return None

    def _floor(self, moment: Moment) -> int | None:
        """The tier of the first choice if every backend were well and idle."""
        prompt = moment.prompt_tokens
        able = [one for one in self._able if one.window is None or prompt <= one.window]
        return self._rank(able, moment)[0].tier if able else None


def _options(
    need: Requirements, served: list[LiveBackend], strategy: Strategy
) -> tuple[Option, ...]:
    """Those that nothing lasting keeps away, and those that their zone alone does.

    The latter are never chosen; but where one would be preferred, the reason is the zone.
    """
    found: list[Option] = []
    for live in served:
        drops = lasting_drops(need, live.frozen)
        if not drops or drops == _ZONE_ALONE:
            found.append(Option(live, need.model, strategy, Stage.ZONE if drops else None))
    return tuple(found)


def _able(need: Requirements, served: list[LiveBackend], strategy: Strategy) -> tuple[Option, ...]:
    """Those that could ever serve the request, however they are now."""
    return tuple(
        Option(live, need.model, strategy, None)
        for live in served
        if lasting_drops(need, live.frozen).isdisjoint(DEMANDS)
    )


def _within_reach(
    options: tuple[Option, ...], moment: Moment, floor: int | None
) -> tuple[list[Option], dict[Option, Stage] | None]:
    """Who is free, or kept away by one thing that a decision's reason tells of; and by what."""
    prompt, tried, money = moment.prompt_tokens, moment.tried, moment.money
    within_reach: list[Option] = []
    obstacles: dict[Option, Stage] | None = None
    for option in options:
        if option.window is not None and prompt > option.window:
            continue
        if tried and option.name in tried:
            continue
        if floor is not None and (option.tier is None or option.tier < floor):
            continue
        if money is not None and money(option.backend, option.model) is not None:
            continue
        stage, is_alone = option.lasting, True
        for cooldown in option.cooldowns:
            if cooldown.keeps_away(moment.at):
                is_alone = stage is None or stage is Stage.COOLDOWN
                stage = Stage.COOLDOWN
        most = option.most
        if most is not None and len(option.live.taken) >= most:
            is_alone = stage is None
            stage = Stage.CAPACITY
        if not is_alone:
            continue
        within_reach.append(option)
        if stage is not None:
            if obstacles is None:
                obstacles = {}
            obstacles[option] = stage
    return within_reach, obstacles


# --- ranking: as `Strategy.rank` does --------------------------------------------------------


def _ranking(strategy: Strategy) -> _Ranking:
    match strategy.routing.strategy:
        case "smart":
            return _by_score
        case "round_robin":
            return lambda options, moment: rotated(options, moment.turn)
        case "priority_only":
            return lambda options, _: sorted(options, key=_by_priority)
        case "random":
            return lambda options, moment: moment.strategy.drawn(options)
        case _:
            assert_never(strategy.routing.strategy)


def _by_score(options: list[Option], moment: Moment) -> list[Option]:
    familiar = moment.familiar

    def key(option: Option) -> tuple[float, bool]:
        live = option.live
        score = option.scorer.score(
            len(live.taken), live.latency_ms, is_familiar=option.name == familiar
        )
        return -score, option.is_cloud

    return sorted(options, key=key)


def _by_priority(option: Option) -> tuple[int, bool, float]:
    load = load_of(len(option.live.taken), option.max_concurrent)
    return -option.priority, option.is_cloud, load


def _is_cloud(option: Option) -> bool:
    return option.is_cloud


class PlannedDecision(RouteDecision, kw_only=True, gc=False):
    """A decision by a plan. All of it is worked out by `route`, each time that somebody asks."""

    plan: Plan
    moment: Moment
    # Of each backend that serves the model, requests in flight and latency in ms, as they were.
    loads: tuple[float | None, ...]

    @classmethod
    def of(cls, first: Choice, reason: RouteReason, plan: Plan, moment: Moment) -> PlannedDecision:
        """The decision, with the numbers that change with every request."""
        loads: list[float | None] = []
        for _, live in plan.served:
            loads += (len(live.taken), live.latency_ms)
        return cls(first, reason, plan=plan, moment=moment, loads=tuple(loads))

    def _tell(self) -> Told:
        plan, moment = self.plan, self.moment
        fleet = list(plan.fleet)
        then = zip(plan.served, self.loads[::2], self.loads[1::2], strict=True)
        for (place, _), in_flight, latency_ms in then:
            seen = fleet[place]
            fleet[place] = with_load(seen, int(in_flight or 0), latency_ms, seen.service_seconds)
        context = RoutingContext(
            tuple(fleet),
            moment.strategy.as_of(plan.routing, moment.turn, moment.familiar),
            moment.at,
            moment.tried,
            moment.money,
            moment.prefers_local,
        )
        demand = Demand(capabilities=plan.capabilities, prompt_tokens=moment.prompt_tokens)
        return route(plan.need.asking(demand), context).told
