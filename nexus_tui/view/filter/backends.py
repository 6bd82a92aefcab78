"""Filter of backends: the table of keys of the Backends tab."""

from __future__ import annotations

from typing import TypeAlias

from nexus_core.config.schema import UnusableBackend
from nexus_core.types import BackendState, PrivacyZone
from nexus_tui.view.filter.language import Flag, Key, Language, Test
from nexus_tui.view.filter.values import choice, count, duration_ms, one_text, texts
from nexus_tui.view.frame import BackendView

Backend: TypeAlias = BackendView | UnusableBackend

_UNUSED = "unused"
_STATES = (*(state.value for state in BackendState), _UNUSED)
_ZONES = tuple(zone.value for zone in PrivacyZone)


def _name(one: Backend) -> str:
    return one.name if isinstance(one, UnusableBackend) else one.snapshot.name


def _type(one: Backend) -> str:
    return one.type.value if isinstance(one, UnusableBackend) else one.snapshot.type.value


def _zone(one: Backend) -> str:
    return one.zone.value if isinstance(one, UnusableBackend) else one.snapshot.zone.value


def _state(one: Backend) -> str:
    return _UNUSED if isinstance(one, UnusableBackend) else one.state.value


def _models(one: Backend) -> tuple[str, ...]:
    if isinstance(one, UnusableBackend):
        return ()
    return (*one.snapshot.models, *one.snapshot.models.values())


def _tier(one: Backend) -> int | None:
    return None if isinstance(one, UnusableBackend) else one.snapshot.tier


def _priority(one: Backend) -> int | None:
    return None if isinstance(one, UnusableBackend) else one.snapshot.priority


def _load(one: Backend) -> int | None:
    return None if isinstance(one, UnusableBackend) else one.snapshot.in_flight


def _latency(one: Backend) -> float | None:
    return None if isinstance(one, UnusableBackend) else one.snapshot.latency_ms


def _is_usable(one: Backend) -> bool:
    return not isinstance(one, UnusableBackend) and one.is_usable


def _word(text: str) -> Test[Backend]:
    def test(one: Backend) -> bool:
        shown = (_name(one), _type(one), _zone(one), _state(one))
        return any(text in part.casefold() for part in shown)

    return test


BACKENDS = Language[Backend](
    keys=(
        Key(
            "name", "vllm  =vllm-a", "part of the name; = all of it", one_text(_name), ("backend",)
        ),
        Key("type", "llama", "part of the type", one_text(_type)),
        Key(
            "zone",
            "open  restricted",
            "privacy zone",
            choice(_zone, _ZONES, "restricted or open"),
            options=_ZONES,
        ),
        Key(
            "state",
            "down  cooldown,half-open",
            "state of the backend",
            choice(_state, _STATES, ", ".join(_STATES)),
            ("status", "health"),
            options=_STATES,
        ),
        Key("model", "llama3:70b", "part of a model that it serves", texts(_models)),
        Key("tier", "3  <2", "its tier", count(_tier, "tier:3 or tier:<2"), is_number=True),
        Key(
            "priority",
            ">50",
            "its priority",
            count(_priority, "priority:>50"),
            ("prio",),
            is_number=True,
        ),
        Key(
            "load",
            "1",
            "requests under way",
            count(_load, "load:1 or load:>4"),
            ("in_flight", "active"),
            is_number=True,
        ),
        Key(
            "latency",
            ">1s",
            "moving average to the first byte",
            duration_ms(_latency, "latency:>1s"),
            ("first",),
            is_number=True,
        ),
    ),
    flags=(Flag("usable", "requests are routed to it", _is_usable, ("ok", "up")),),
    word=_word,
    words="name, type, zone and state",
)
