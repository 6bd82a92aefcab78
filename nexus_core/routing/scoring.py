"""Routing strategies: order candidates by smart, round_robin, priority_only, random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import NamedTuple, TypeVar, assert_never

import msgspec

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
_REMEMBERED = 8192  # scores, and loads


_Drawn = TypeVar("_Drawn")  # a backend, in whatever form


class Ranked(NamedTuple):
    """A ranked backend with its score terms."""

    backend: BackendSnapshot
    terms: tuple[ScoreTerm, ...] = ()  # empty where the strategy knows no score
    score: float = 0.0  # their sum


class Term(msgspec.Struct, frozen=True):
    """One thing that speaks for a backend; `_values` tells how much."""

    name: str
    weight: Callable[[WeightsConfig], float]


@dataclass(slots=True)
class Strategy:
    """Routing strategy; holds its state between decisions."""

    routing: RoutingConfig
    random: Random
    affinity: Affinity = field(default_factory=Affinity)
    turn: int = field(default=0, init=False)  # requests sent so far
    weights: tuple[float, ...] = field(init=False)  # of TERMS
    _seed: int = field(init=False)

    def __post_init__(self) -> None:
        self.weights = weights_of(self.routing.weights)
        self._seed = self.random.getrandbits(64)

    def configure(self, routing: RoutingConfig) -> None:
        """Order by this from the next decision on."""
        self.routing, self.weights = routing, weights_of(routing.weights)

    def under(self, routing: RoutingConfig) -> Strategy:
        """The same, with its turn and its memory, under another configuration."""
        other = copy(self)
        other.configure(routing)
        return other

    def as_of(self, routing: RoutingConfig, turn: int, familiar: str | None) -> Strategy:
        """The same as it was in an earlier turn.

        Args:
            familiar: who had served the beginning of the conversation that is asked about.
        """
        other = copy(self) if routing is self.routing else self.under(routing)
        other.turn, other.affinity = turn, _Recalled(familiar)
        return other

    @property
    def is_drawn(self) -> bool:
        """The order is a matter of chance."""
        return self.routing.strategy == "random"

    def next_turn(self) -> None:
        """A request was sent: round_robin goes on to the next backend, random draws anew."""
        self.turn += 1

    def drawn(self, backends: Sequence[_Drawn]) -> list[_Drawn]:
        """In the random order of this turn: the same for everybody who asks in it."""
        lot = Random(self._seed + self.turn)  # noqa: S311 - spreads load, hides nothing
        return lot.sample(backends, len(backends))

    def rank(self, backends: Sequence[BackendSnapshot], need: Requirements) -> list[Ranked]:
        """Those that serve the needed model, the best first.

        Changes nothing, so that explain may ask too, and gets the same within a turn.
        """
        match self.routing.strategy:
            case "smart":
                demand = need.demand
                known = self.affinity.recall(demand.prefixes, demand.session)
                return rank_by_score(backends, need.model, self.weights, known)
            case "round_robin":
                return [Ranked(backend) for backend in rotated(backends, self.turn)]
            case "priority_only":
                return [Ranked(backend) for backend in sorted(backends, key=_by_priority)]
            case "random":
                return [Ranked(backend) for backend in self.drawn(backends)]
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
    return terms, total(terms)


def total(terms: Iterable[ScoreTerm]) -> float:
    """The sum of the terms, added one by one: `sum` rounds floats in another way since 3.12."""
    score = 0.0
    for term in terms:
        score += term.weight * term.value
    return score


def rotated(backends: Sequence[_Drawn], turn: int) -> list[_Drawn]:
    """Each in turn, whatever its priority."""
    start = turn % len(backends) if backends else 0
    return [*backends[start:], *backends[:start]]


def _by_priority(backend: BackendSnapshot) -> tuple[int, bool, float]:
    load = load_of(backend.in_flight, backend.max_concurrent)
    return (-backend.priority, backend.type.is_cloud, load)


@lru_cache(maxsize=_REMEMBERED)
def load_of(in_flight: int, max_concurrent: int | None) -> float:
    """Between 0 and 1; a full backend counts as with one slot free."""
    if max_concurrent is None:
        return in_flight / (in_flight + _UNLIMITED_HALF_LOAD)
    return min(in_flight, max_concurrent - 1) / max_concurrent


@lru_cache(maxsize=_REMEMBERED)
def _freedom(in_flight: int, max_concurrent: int | None) -> float:
    return round(1 - load_of(in_flight, max_concurrent), _DIGITS)


def _quickness(latency_ms: float | None) -> float:
    if latency_ms is None:
        return _UNKNOWN_LATENCY
    return round(_HALF_LATENCY_MS / (_HALF_LATENCY_MS + latency_ms), _DIGITS)


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
    return (
        min(max(backend.priority / _TOP_PRIORITY, 0.0), 1.0),
        _freedom(backend.in_flight, backend.max_concurrent),
        _quickness(backend.latency_ms),
        not backend.type.is_cloud,
        _WARMTH[None if details is None else details.is_loaded],
        is_familiar,
    )


class Scorer:
    """The score of one backend for one model, for many requests: `rank_by_score` gives the same."""

    __slots__ = (
        *("_affinity", "_latency", "_latency_ms", "_latency_weight", "_load_weight", "_local"),
        *("_max_concurrent", "_priority", "_warm"),
    )

    def __init__(self, weights: Sequence[float], backend: BackendSnapshot, model: str) -> None:
        """
        Args:
            weights: of TERMS, as `weights_of` gives them.
            model: as clients call it.
        """
        details = backend.details.get(backend.models[model])
        values = _values(backend, details, is_familiar=True)
        products = [weight * value for weight, value in zip(weights, values, strict=True)]
        self._priority, _, _, self._local, self._warm, self._affinity = products
        _, self._load_weight, self._latency_weight, *_ = weights
        self._max_concurrent = backend.max_concurrent
        self._latency_ms: float | None = None
        self._latency = self._latency_weight * _quickness(None)

    def score(self, in_flight: int, latency_ms: float | None, *, is_familiar: bool) -> float:
        """The sum of the terms now, added in their order."""
        if latency_ms != self._latency_ms:
            self._latency_ms = latency_ms
            self._latency = self._latency_weight * _quickness(latency_ms)
        load = self._load_weight * _freedom(in_flight, self._max_concurrent)
        score = self._priority + load + self._latency + self._local + self._warm
        return score + self._affinity if is_familiar else score


class _Recalled(Affinity):
    """What an affinity once said about one conversation."""

    def __init__(self, familiar: str | None) -> None:
        super().__init__()
        self._familiar = familiar

    def recall(self, prefixes: tuple[int, ...], session: int | None = None) -> str | None:
        return self._familiar
