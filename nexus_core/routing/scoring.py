"""Routing strategies: order candidates by smart, round_robin, priority_only, random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import NamedTuple, assert_never

from nexus_core.config.schema import RoutingConfig, WeightsConfig
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.events import ScoreTerm
from nexus_core.routing.affinity import Affinity
from nexus_core.routing.requirements import Requirements
from nexus_core.types import ModelDetails

# "Local first": what being local is worth beside the configured weights. A cloud backend wins over
# an idle local one with 40 points of priority more, or when the local one is nearly full.
_LOCAL_WEIGHT = 20.0

# What weighs among near equals: the model is in memory already; the conversation began there, so
# that the server's prompt cache may spare it the work of reading it again.
_WARM_WEIGHT = 5.0
_AFFINITY_WEIGHT = 5.0

# What a server is worth that has the model in memory, that has not, that does not tell.
_WARMTH = {True: 1.0, False: 0.0, None: 0.5}

_TOP_PRIORITY = 100  # counts as 1.0; more counts no more
_UNLIMITED_HALF_LOAD = 8  # so many in flight are half a load where no limit is configured
_HALF_LATENCY_MS = 500.0  # a first byte after that long counts half
_UNKNOWN_LATENCY = 0.5  # neither shunned nor flooded before its first answer
_DIGITS = 3  # of a value between 0 and 1: finer differences are noise
_REMEMBERED = 8192  # scores


class Ranked(NamedTuple):
    """A ranked backend with its score terms."""

    backend: BackendSnapshot
    terms: tuple[ScoreTerm, ...] = ()  # empty where the strategy knows no score
    score: float = 0.0  # their sum


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that speaks for a backend; `_values` tells how much."""

    name: str
    weight: Callable[[WeightsConfig], float]


@dataclass(slots=True)
class Strategy:
    """Routing strategy; holds its state between decisions."""

    routing: RoutingConfig
    random: Random
    affinity: Affinity = field(default_factory=Affinity)
    _turn: int = field(default=0, init=False)
    _weights: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._weights = weights_of(self.routing.weights)

    def configure(self, routing: RoutingConfig) -> None:
        """Order by this from the next decision on."""
        self.routing, self._weights = routing, weights_of(routing.weights)

    def under(self, routing: RoutingConfig, random: Random) -> Strategy:
        """The same, with its turn and its memory, under another configuration."""
        other = copy(self)
        other.configure(routing)
        other.random = random
        return other

    @property
    def is_drawn(self) -> bool:
        """The order is a matter of chance."""
        return self.routing.strategy == "random"

    def next_turn(self) -> None:
        """A request was sent: round_robin goes on to the next backend."""
        self._turn += 1

    def rank(self, backends: Sequence[BackendSnapshot], need: Requirements) -> list[Ranked]:
        """Those that serve the needed model, the best first.

        Changes nothing, so that explain may ask too.
        """
        match self.routing.strategy:
            case "smart":
                known = self.affinity.recall(need.demand.prefixes)
                return rank_by_score(backends, need.model, self._weights, known)
            case "round_robin":
                return rotate(backends, self._turn)
            case "priority_only":
                return [Ranked(backend) for backend in sorted(backends, key=_by_priority)]
            case "random":
                return [Ranked(b) for b in self.random.sample(backends, len(backends))]
            case _:
                assert_never(self.routing.strategy)


def rank_by_score(
    backends: Sequence[BackendSnapshot],
    model: str,
    weights: Sequence[float],
    familiar: str | None = None,
) -> list[Ranked]:
    """Rank by weighted score; ties: local first, then configuration order.

    Args:
        weights: of TERMS, as `weights_of` gives them.
        familiar: the backend that served the beginning of this conversation before.
    """
    ranked: list[Ranked] = []
    for backend in backends:
        details = backend.details.get(backend.models[model])
        values = _values(backend, details, is_familiar=backend.name == familiar)
        ranked.append(Ranked(backend, *_scored(weights, values)))
    if len(ranked) > 1:
        ranked.sort(key=lambda entry: (-entry.score, entry.backend.type.is_cloud))
    return ranked


def weights_of(weights: WeightsConfig) -> tuple[float, ...]:
    """Weights of TERMS under a configuration, in their order."""
    return tuple(term.weight(weights) for term in TERMS)


@lru_cache(maxsize=_REMEMBERED)
def _scored(
    weights: Sequence[float], values: Sequence[float]
) -> tuple[tuple[ScoreTerm, ...], float]:
    """The terms and their sum. Most requests find those of another one: making them, and keeping
    them apart for thousands of listed requests, would be a good part of what a decision costs.
    """
    terms = tuple(
        ScoreTerm(term.name, weight, float(value))
        for term, weight, value in zip(TERMS, weights, values, strict=True)
    )
    return terms, sum(term.weight * term.value for term in terms)


def rotate(backends: Sequence[BackendSnapshot], turn: int) -> list[Ranked]:
    """Each backend in turn, whatever its priority."""
    start = turn % len(backends) if backends else 0
    return [Ranked(backend) for backend in (*backends[start:], *backends[:start])]


def _by_priority(backend: BackendSnapshot) -> tuple[int, bool, float]:
    return (-backend.priority, backend.type.is_cloud, _load(backend))


def _load(backend: BackendSnapshot) -> float:
    if backend.max_concurrent is None:
        return backend.in_flight / (backend.in_flight + _UNLIMITED_HALF_LOAD)
    return min(backend.in_flight, backend.max_concurrent - 1) / backend.max_concurrent


# The score; decision, explain, API and screens show the terms that stand here, in this order.
TERMS: tuple[Term, ...] = (
    Term("priority", lambda weights: weights.priority),
    Term("load", lambda weights: weights.load),
    Term("latency", lambda weights: weights.latency),
    Term("local", lambda _: _LOCAL_WEIGHT),
    Term("warm", lambda _: _WARM_WEIGHT),
    Term("affinity", lambda _: _AFFINITY_WEIGHT),
)


def _values(
    backend: BackendSnapshot, details: ModelDetails | None, *, is_familiar: bool
) -> tuple[float, ...]:
    """What speaks for a backend: a value between 0 and 1 for each of TERMS, in their order.

    In one call, for it is asked of each candidate of each request.

    Args:
        details: what the backend tells of the model.
        is_familiar: it served the beginning of this conversation before.
    """
    latency = backend.latency_ms
    quickness = _UNKNOWN_LATENCY
    if latency is not None:
        quickness = round(_HALF_LATENCY_MS / (_HALF_LATENCY_MS + latency), _DIGITS)
    return (
        min(max(backend.priority / _TOP_PRIORITY, 0.0), 1.0),
        round(1 - _load(backend), _DIGITS),  # a full backend counts as with one slot free
        quickness,
        not backend.type.is_cloud,
        _WARMTH[None if details is None else details.is_loaded],
        is_familiar,
    )
