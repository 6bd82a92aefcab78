"""A plan chooses as `route` does, and tells later how things were."""

from __future__ import annotations

from random import Random
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.config.schema import PolicyConfig, RoutingConfig
from nexus_core.dialects.request import Demand
from nexus_core.fleet.live import LiveBackend, with_load
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.money.accounting import MoneyRule
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.plan import Moment, Plan, PlannedDecision
from nexus_core.routing.requirements import RoutingHints, read_requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.stages import Stage
from nexus_core.types import Capability, PrivacyZone
from tests.examples import promised
from tests.made_up_backends import DEMANDS, MODEL, fleets, snapshot

OTHER = "other"
STRATEGIES = ("smart", "round_robin", "priority_only", "random")
SERVED = st.sampled_from(
    ({MODEL: "up"}, {MODEL: "up", OTHER: "up"}, {OTHER: "other"}, {MODEL: MODEL, OTHER: "o"}, {})
)
ROUTINGS = st.builds(
    RoutingConfig,
    strategy=st.sampled_from(STRATEGIES),
    fallbacks=st.sampled_from(({}, {MODEL: (OTHER,)}, {MODEL: (OTHER, "third")})),
    policies=st.lists(
        st.builds(
            PolicyConfig,
            model_pattern=st.sampled_from(("up", "llama*", OTHER)),
            privacy=st.sampled_from(PrivacyZone),
            min_tier=st.none() | st.integers(0, 4),
        ),
        max_size=2,
    ).map(tuple),
)
HINTS = st.builds(
    RoutingHints,
    zone=st.sampled_from(PrivacyZone),
    min_tier=st.none() | st.integers(0, 4),
    backend=st.sampled_from((None, None, None, "a", "z")),
    flexible=st.booleans(),
)
LATENCIES = st.none() | st.floats(1, 5000)


@st.composite
def live_fleets(draw: st.DrawFn) -> tuple[LiveBackend, ...]:
    """Backends in any state, whose frozen view may be older than their load."""
    found: list[LiveBackend] = []
    for backend in draw(fleets()):
        models = MappingProxyType(draw(SERVED))
        frozen = with_load(backend, backend.in_flight, draw(LATENCIES), draw(LATENCIES))
        values = {name: getattr(frozen, name) for name in BackendSnapshot.__struct_fields__}
        live = LiveBackend(snapshot(**{**values, "models": models}), configured_models=True)
        live.taken.extend([0.0] * backend.in_flight)
        found.append(live)
    return tuple(found)


def use(data: st.DataObject, fleet: tuple[LiveBackend, ...], strategy: Strategy) -> None:
    """Requests come and go: what a plan may not keep."""
    for live in fleet:
        if data.draw(st.booleans()):
            live.take(1.0)
        elif live.taken:
            live.give_back(2.0)
        if data.draw(st.booleans()):
            live.answered(data.draw(st.floats(1, 5000)))
    strategy.next_turn()
    if fleet:
        name = data.draw(st.sampled_from(fleet)).frozen.name
        strategy.affinity.remember((data.draw(st.integers(1, 2)),), name)


def moments(demand: Demand, strategy: Strategy, names: list[str]) -> st.SearchStrategy[Moment]:
    """Any moment: some tried, some too dear, spending near its limit or not."""
    some = st.sampled_from(names or ["none"])

    def rule(dear: frozenset[str]) -> MoneyRule:
        return lambda backend, _: "the budget is spent" if backend.name in dear else None

    def moment(
        at: float, tried: dict[str, str], money: MoneyRule | None, prefers_local: bool
    ) -> Moment:
        made = Moment.of(demand, strategy, at, tried)
        made.money, made.prefers_local = money, prefers_local
        return made

    return st.builds(
        moment,
        at=st.floats(0, 20),
        tried=st.dictionaries(some, st.just("answered 500"), max_size=2),
        money=st.none() | st.frozensets(some).map(rule),
        prefers_local=st.booleans(),
    )


def facts(decision: RouteDecision) -> tuple[object, ...]:
    """All that is told of a decision, but the load of backends that do not serve the model."""
    dropped = [
        drop._replace(backend=with_load(drop.backend, 0, None, None))
        if drop.stage is Stage.MODEL
        else drop
        for drop in decision.dropped
    ]
    return decision.order, dropped, decision.considered, decision.waits_for, decision.need


@promised()
@given(data=st.data(), fleet=live_fleets(), routing=ROUTINGS, hints=HINTS)
def test_a_plan_decides_as_route_does_and_tells_later_how_it_was(
    data: st.DataObject, fleet: tuple[LiveBackend, ...], routing: RoutingConfig, hints: RoutingHints
) -> None:
    strategy = Strategy(routing, Random(0))
    need = read_requirements(MODEL, hints, routing)
    capabilities = data.draw(DEMANDS).capabilities
    plan = Plan(need, capabilities, fleet, strategy)

    for _ in range(2):
        demand = Demand(
            capabilities=capabilities,
            prompt_tokens=data.draw(st.sampled_from((0, 100, 20_000))),
            prefixes=data.draw(st.sampled_from(((), (1,), (2, 1)))),
        )
        moment = data.draw(moments(demand, strategy, [live.frozen.name for live in fleet]))
        now = tuple(
            with_load(one.frozen, len(one.taken), one.latency_ms, one.frozen.service_seconds)
            for one in fleet
        )
        told = Demand(capabilities=capabilities, prompt_tokens=demand.prompt_tokens)
        oracle = route(
            need.asking(told),
            RoutingContext(
                now,
                strategy.as_of(routing, strategy.turn, strategy.affinity.recall(demand.prefixes)),
                moment.at,
                moment.tried,
                moment.money,
                moment.prefers_local,
            ),
        )

        chosen = plan.choose(moment)

        assert (chosen is None) == (not oracle.order)
        if chosen is not None:
            choice, reason = chosen
            first = oracle.order[0]
            assert (choice.backend.name, choice.model) == (first.backend.name, first.model)
            assert choice.upstream_model == first.upstream_model
            assert choice.half_open_model == first.half_open_model
            assert reason is oracle.reason
            decision = PlannedDecision.of(choice, reason, plan, moment)
            use(data, fleet, strategy)
            assert facts(decision) == facts(oracle)
        else:
            use(data, fleet, strategy)


@promised()
@given(data=st.data(), fleet=live_fleets(), routing=ROUTINGS)
def test_no_plan_sends_a_restricted_prompt_to_an_open_backend(
    data: st.DataObject, fleet: tuple[LiveBackend, ...], routing: RoutingConfig
) -> None:
    need = read_requirements(MODEL, RoutingHints(zone=PrivacyZone.RESTRICTED), routing)
    strategy = Strategy(routing, Random(0))
    names = [live.frozen.name for live in fleet]
    plan = Plan(need, frozenset({Capability.TOOLS}), fleet, strategy)

    chosen = plan.choose(data.draw(moments(Demand(), strategy, names)))

    if chosen is not None:
        choice, _ = chosen
        assert choice.backend.zone is PrivacyZone.RESTRICTED
        assert choice.backend.name not in {
            live.frozen.name for live in fleet if live.frozen.zone is PrivacyZone.OPEN
        }


def test_a_decision_that_is_looked_at_later_shows_the_load_of_its_moment() -> None:
    live = LiveBackend(snapshot(max_concurrent=1), configured_models=True)
    other = LiveBackend(snapshot("b", priority=10), configured_models=True)
    strategy = Strategy(RoutingConfig(), Random(0))
    plan = Plan(
        read_requirements(MODEL, RoutingHints(), RoutingConfig()),
        frozenset(),
        (live, other),
        strategy,
    )
    live.take(0.0)
    moment = Moment.of(Demand(), strategy, 0.0, {})
    chosen = plan.choose(moment)
    assert chosen is not None
    decision = PlannedDecision.of(*chosen, plan, moment)

    live.give_back(1.0)

    assert [(c.backend, c.why) for c in decision.considered] == [("b", None), ("a", "full: 1/1")]
