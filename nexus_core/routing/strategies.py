"""In which order to try the candidates: smart, round_robin, priority_only, random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from nexus_core.config import RoutingConfig, WeightsConfig
from nexus_core.events import ScoreTerm
from nexus_core.registry import BackendSnapshot
from nexus_core.routing.affinity import Affinity
from nexus_core.routing.requirements import Requirements
from nexus_core.types import CLOUD_TYPES

# "Local first": what being local is worth beside the configured weights. A cloud backend wins over
# an idle local one with 40 points of priority more, or when the local one is nearly full.
_LOCAL_WEIGHT = 20.0

# What weighs among near equals: the model is in memory already; the conversation began there, so
# that the server's prompt cache may spare it the work of reading it again.
_WARM_WEIGHT = 5.0
_AFFINITY_WEIGHT = 5.0

# The terms that have only so many values, made once: making them is a good part of a decision.
_LOCAL, _CLOUD = (ScoreTerm("local", _LOCAL_WEIGHT, value) for value in (1.0, 0.0))
_FAMILIAR, _UNFAMILIAR = (ScoreTerm("affinity", _AFFINITY_WEIGHT, value) for value in (1.0, 0.0))
# In between: a server that does not tell what it has in memory.
_WARM, _PERHAPS_WARM, _COLD = (ScoreTerm("warm", _WARM_WEIGHT, value) for value in (1.0, 0.5, 0.0))

_TOP_PRIORITY = 100  # counts as 1.0; more counts no more
_UNLIMITED_HALF_LOAD = 8  # so many in flight are half a load where no limit is configured
_HALF_LATENCY_MS = 500.0  # a first byte after that long counts half
_UNKNOWN_LATENCY = 0.5  # neither shunned nor flooded before its first answer


class Ranked(NamedTuple):
    """A backend in its place, and what put it there."""

    backend: BackendSnapshot
    terms: tuple[ScoreTerm, ...] = ()  # empty where the strategy knows no score
    score: float = 0.0  # their sum


@dataclass(slots=True)
class Strategy:
    """The configured order; holds what carries over from one decision to the next."""

    routing: RoutingConfig
    random: Random
    affinity: Affinity = field(default_factory=Affinity)
    _turn: int = field(default=0, init=False)

    def next_turn(self) -> None:
        """A request was sent: round_robin goes on to the next backend."""
        self._turn += 1

    def rank(self, backends: Sequence[BackendSnapshot], need: Requirements) -> list[Ranked]:
        """Those that serve the needed model, the best first.

        Changes nothing, so that explain may ask too.
        """
        match self.routing.strategy:
            case "smart":
                known = self.affinity.recall(need.traits.prefixes)
                return rank_by_score(backends, need.model, self.routing.weights, known)
            case "round_robin":
                return rotate(backends, self._turn)
            case "priority_only":
                return [Ranked(backend) for backend in sorted(backends, key=_by_priority)]
            case "random":
                return [Ranked(b) for b in self.random.sample(backends, len(backends))]


def rank_by_score(
    backends: Sequence[BackendSnapshot],
    model: str,
    weights: WeightsConfig,
    familiar: str | None = None,
) -> list[Ranked]:
    """By the weighted score; among equals local first, then the order of the configuration.

    Args:
        familiar: the backend that served the beginning of this conversation before.
    """
    ranked = []
    for backend in backends:
        terms = score_terms(backend, model, weights, is_familiar=backend.name == familiar)
        score = sum([weight * value for _, weight, value in terms])
        ranked.append(Ranked(backend, terms, score))
    ranked.sort(key=lambda entry: (-entry.score, entry.backend.type in CLOUD_TYPES))
    return ranked


def score_terms(
    backend: BackendSnapshot, model: str, weights: WeightsConfig, *, is_familiar: bool = False
) -> tuple[ScoreTerm, ...]:
    """What speaks for a backend, each between 0 and 1; a full one counts as with one slot free."""
    return (
        ScoreTerm("priority", weights.priority, _clamp(backend.priority / _TOP_PRIORITY)),
        ScoreTerm("load", weights.load, 1 - _load(backend)),
        ScoreTerm("latency", weights.latency, _quickness(backend.latency_ms)),
        _CLOUD if backend.type in CLOUD_TYPES else _LOCAL,
        _warmth(backend, model),
        _FAMILIAR if is_familiar else _UNFAMILIAR,
    )


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


def _quickness(latency_ms: float | None) -> float:
    if latency_ms is None:
        return _UNKNOWN_LATENCY
    return _HALF_LATENCY_MS / (_HALF_LATENCY_MS + latency_ms)


def _warmth(backend: BackendSnapshot, model: str) -> ScoreTerm:
    details = backend.details.get(backend.models[model])
    if details is None or details.is_loaded is None:
        return _PERHAPS_WARM
    return _WARM if details.is_loaded else _COLD


def _clamp(value: float) -> float:
    return min(max(value, 0.0), 1.0)
