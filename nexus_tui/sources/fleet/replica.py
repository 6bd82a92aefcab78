"""A replica of a fleet, as the screen and the commands know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nexus_core.observe.event_json import UnreadableError
from nexus_core.some_names import some_names
from nexus_core.types import is_list, is_object

_MOST = 1000  # replicas of a fleet
_MAX_TEXT = 200
_MAX_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica; several processes of it (workers) are one."""

    name: str
    address: str | None = None  # URL where others reach it
    version: str = ""
    beat_at: float | None = None  # its last word to the store, in seconds since the epoch
    is_dead: bool = False  # silent for so long that the others count on it no more
    differs: bool = False  # its configuration is another one than that of most
    alone_since: float | None = None  # as it says itself: it has no word from the store
    switches: int | None = None  # version of the switches that it has carried out
    is_open: bool | None = None  # its switch of the open zone is on; None: not seen from here
    requests: int | None = None  # since its start, as seen here; None: nothing is known of them
    in_flight: int = 0
    failed: int = 0
    problem: str | None = None  # why nothing of it is seen here; None: it is, or was never tried


@dataclass(frozen=True, slots=True)
class PartOf:
    """What a replica's data source has of the screen that shows several."""

    replica: str  # its name
    session: str  # the screen's own word


@dataclass(frozen=True, slots=True)
class Roll:
    """The replicas of a fleet, as one of them tells."""

    here: str  # the one that tells
    replicas: tuple[Replica, ...]  # in order of their names, dead ones included
    alone_since: float | None = None  # since when it has no word from the store; None: it has
    lease_seconds: float = 1.0  # how long the open zone may be used without a word from it
    keeps_open: bool = False  # without one the open zone stays in use: [fleet] when_alone

    def has_lapsed(self, replica: Replica, now: float) -> bool:
        """Whether a replica may send nothing to the open zone for want of word from the store."""
        if replica.beat_at is None or self.keeps_open:
            return False
        return now - replica.beat_at > self.lease_seconds

    def get(self, name: str) -> Replica | None:
        """One of them."""
        return next((one for one in self.replicas if one.name == name), None)


def read_roll(told: object) -> Roll:
    """Read the answer of GET /nexus/replicas.

    Raises:
        UnreadableError: it is not what a Nexus tells.
    """
    if not is_object(told) or not is_object(fleet := told.get("fleet")):
        raise UnreadableError("the fleet of a replica is missing")
    at, here, replicas = _seconds(told, "at"), fleet.get("replica"), told.get("replicas")
    if at is None or not isinstance(here, str) or not is_list(replicas):
        raise UnreadableError("the replicas of a fleet are missing")
    found: dict[str, Replica] = {}
    for one in (_read(entry, at) for entry in replicas[:_MOST]):
        known = found.get(one.name)
        found[one.name] = one if known is None else _together(known, one)
    return Roll(
        here[:_MAX_TEXT],
        tuple([found[name] for name in sorted(found)]),
        alone_since=_seconds(fleet, "alone_since"),
        lease_seconds=_seconds(fleet, "open_zone_lease_seconds") or 1.0,
        keeps_open=fleet.get("when_alone") == "keep",
    )


def _read(told: object, at: float) -> Replica:
    if not is_object(told) or not isinstance(name := told.get("name"), str) or not name:
        raise UnreadableError("a replica has no name")
    switches, ago = told.get("switches"), _seconds(told, "last_beat_seconds")
    differs = told.get("differs")
    return Replica(
        name=name[:_MAX_TEXT],
        address=_text(told, "address"),
        version=_text(told, "version") or "",
        beat_at=None if ago is None else at - ago,
        is_dead=told.get("dead") is True,
        differs=is_list(differs) and "config" in differs,
        switches=switches if isinstance(switches, int) else None,
    )


def _together(one: Replica, other: Replica) -> Replica:
    """Two processes of one replica: it lives while one does, and lags as the last one does."""
    if one.is_dead != other.is_dead:
        return other if one.is_dead else one
    beats = [at for at in (one.beat_at, other.beat_at) if at is not None]
    switches = [number for number in (one.switches, other.switches) if number is not None]
    return replace(
        one,
        beat_at=max(beats, default=None),
        differs=one.differs or other.differs,
        switches=min(switches, default=None),
    )


def named(names: Sequence[str]) -> str:
    """Replicas in a sentence: `box-1, box-2, box-3, box-4 and 3 more`."""
    return some_names(names, _MAX_NAMED)


def _text(told: dict[str, Any], key: str) -> str | None:
    value = told.get(key)
    return value[:_MAX_TEXT] if isinstance(value, str) else None


def _seconds(told: dict[str, Any], key: str) -> float | None:
    value = told.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
