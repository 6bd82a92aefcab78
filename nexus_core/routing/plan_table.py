"""The table of decision plans: one control flow for every request, whoever may serve it."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_core.config.schema import RoutingConfig
from nexus_core.dialects.request import Demand
from nexus_core.routing.context import NOBODY_TRIED, ContextBuilder
from nexus_core.routing.plan import Moment, Plan, PlannedDecision
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.types import Capability

_MAX_PLANS = 1024


class PlanTable:
    """Plans by kind of request, made when the first of its kind comes.

    A plan chooses as `route` would, which tells everything else of a decision; where nobody can
    serve a request now, `route` decides, for its refusal or its place in the queue.
    """

    def __init__(self, contexts: ContextBuilder) -> None:
        self._contexts = contexts
        self._plans: dict[tuple[int, frozenset[Capability]], Plan] = {}
        self._version = -1  # of the fleet, for which the plans hold
        self._routing: RoutingConfig | None = None  # the strategy's, for which they hold

    def __len__(self) -> int:
        return len(self._plans)

    def decide(
        self,
        need: Requirements,
        demand: Demand,
        client: str | None,
        tried: Mapping[str, str] = NOBODY_TRIED,
    ) -> RouteDecision:
        """Decide who serves a request now.

        Args:
            need: as `read_requirements` gives it; requests of one kind share the very same value.
            client: name of the client key, whose budget applies; None without client keys.
            tried: backends that failed this request before, and how; kept by reference.
        """
        contexts = self._contexts
        registry, strategy, tracker = contexts.registry, contexts.strategy, contexts.cost_tracker
        if registry.version != self._version or strategy.routing is not self._routing:
            self._plans.clear()
            self._version, self._routing = registry.version, strategy.routing
        # A plan keeps its requirements, so that no others get their identity.
        key = (id(need), demand.capabilities)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = Plan(need, demand.capabilities, registry.live(), strategy)
        moment = Moment.of(demand, strategy, registry.clock(), tried)
        if tracker.budget.is_limited:
            verdict = tracker.verdict(client)
            moment.prefers_local = verdict.prefers_local
            if not verdict.is_free:
                moment.money = tracker.rule_of(verdict)
        chosen = plan.choose(moment)
        if chosen is None:
            return route(need.asking(demand), contexts.build(client, tried))
        return PlannedDecision.of(*chosen, plan, moment)
