"""Replicas in words: what is wrong with which, and how far a cut of the open zone has reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from nexus_core import __version__
from nexus_tui.sources.fleet.replica import Replica, Roll
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clock

_BETWEEN = " · "


class Reach(Enum):
    """Whether a cut of the open zone holds at a replica."""

    CUT = "cut"  # it has carried it out
    LAPSED = "lapsed"  # it has not heard of it, and may send nothing any more
    OPEN = "open"  # it may still send


# What is wrong ------------------------------------------------------------------------------------


def replica_alarms(fleet: Roll, *, is_short: bool) -> list[str]:
    """What is not as it should be with the replicas, in one line; none while all is well."""
    here = fleet.get(fleet.here)
    version = here.version if here is not None and here.version else __version__
    told: dict[str, list[str]] = {}  # the names of those of which the same is to be said
    for one in fleet.replicas:
        if words := _alarm(one, fleet, version, is_short):
            told.setdefault(words, []).append(escaped(one.name))
    parts = [f"{' '.join(names)} {words}" for words, names in told.items()]
    return [f"FLEET {_BETWEEN.join(parts)}"] if parts else []


def _alarm(one: Replica, fleet: Roll, version: str, is_short: bool) -> str:
    """`DEAD, silent since 14:02:11`; empty where nothing is wrong."""
    since = "" if one.beat_at is None else f", silent since {clock(one.beat_at)}"
    words: list[str] = []
    if one.is_dead:
        words.append("DEAD" if is_short else f"DEAD{since}")
    elif one.alone_since is not None:
        closed = "open zone in use" if fleet.keeps_open else "open zone closed"
        when = clock(one.alone_since, seconds=not is_short)
        words.append(f"ALONE since {when}" if is_short else f"ALONE since {when}: {closed}")
    if one.problem is not None and not one.is_dead:
        words.append("not seen" if is_short else f"not seen: {escaped(one.problem)}")
    if one.differs:
        words.append("config differs")
    if one.version and one.version != version and not one.is_dead:
        words.append(f"version {escaped(one.version)}")
    return ", ".join(words)


def replica_note(one: Replica, now: float) -> str:
    """`18,204 req, 3 in flight, err 2; beat 0.1 s ago`, for a list of replicas."""
    told: list[str] = []
    if one.requests is not None:
        told.append(f"{one.requests:,} req, {one.in_flight:,} in flight, err {one.failed:,}")
    silent = _silent(one, now)
    if one.is_dead:
        told.append("dead")
    elif silent is not None:
        told.append(f"beat {_seconds(silent)} ago")
    if one.problem is not None:
        told.append(f"not seen: {escaped(one.problem)}")
    return "; ".join(told)


def replicas_cell(fleet: Roll) -> tuple[str, str]:
    """`3 replicas`, or `2/3 replicas` where one is dead or not seen; and its style.

    Empty where there is but one, as where workers share a port.
    """
    well = sum(not one.is_dead and one.problem is None for one in fleet.replicas)
    total = len(fleet.replicas)
    if well == total:
        return "" if total == 1 else f"{total} replicas", "text"
    return f"{well}/{total} replicas", "warn"


# How far a cut has reached ------------------------------------------------------------------------


def reach_of(one: Replica, fleet: Roll, now: float) -> Reach:
    """Whether a cut of the open zone holds there.

    Args:
        now: seconds since the epoch.
    """
    if one.is_open is False:
        return Reach.CUT
    version = _version_of_cut(fleet.replicas)
    is_told = one.is_open is None and one.switches is not None and version is not None
    if is_told and (one.switches or 0) >= (version or 0):
        return Reach.CUT
    return Reach.LAPSED if fleet.has_lapsed(one, now) else Reach.OPEN


def _version_of_cut(replicas: Iterable[Replica]) -> int | None:
    """The version of the switches with the cut, as those say that have carried it out."""
    known = [one.switches for one in replicas if one.is_open is False and one.switches is not None]
    return min(known, default=None)


def _silent(one: Replica, now: float) -> float | None:
    """For how long the store has heard nothing of it, in seconds; None: never."""
    return None if one.beat_at is None else max(0.0, now - one.beat_at)


def reach_lines(fleet: Roll, now: float) -> list[tuple[str, Reach]]:
    """`box-1 box-2 cut`, `box-3 silent 4.2 s: its permission lapsed 3.2 s ago`: the parts of it."""
    reached = [(one, reach_of(one, fleet, now)) for one in fleet.replicas]
    cut = [escaped(one.name) for one, reach in reached if reach is Reach.CUT]
    told = [(f"{' '.join(cut)} cut", Reach.CUT)] if cut else []
    for one, reach in reached:
        if reach is not Reach.CUT:
            told.append((_not_cut(one, reach, fleet, now), reach))
    return told


def reach_words(fleet: Roll, now: float) -> str:
    """The same in one line."""
    return _BETWEEN.join(words for words, _ in reach_lines(fleet, now))


def _not_cut(one: Replica, reach: Reach, fleet: Roll, now: float) -> str:
    name, silent = escaped(one.name), _silent(one, now)
    if silent is None:
        return f"{name} was never heard of"
    if reach is Reach.LAPSED:
        ago = silent - fleet.lease_seconds
        return f"{name} silent {_seconds(silent)}: its permission lapsed {_seconds(ago)} ago"
    if silent <= fleet.lease_seconds:
        return f"{name} not yet"
    return f"{name} silent {_seconds(silent)}: it KEEPS the open zone (when_alone = keep)"


def has_reached_all(fleet: Roll, now: float) -> bool:
    """Whether no replica may send to the open zone any more."""
    return all(reach_of(one, fleet, now) is not Reach.OPEN for one in fleet.replicas)


def is_cut_in_part(fleet: Roll, now: float) -> bool:
    """Whether some replicas have cut the open zone, and others have not said so."""
    cut, _, total = confirmed(fleet, now)
    return 0 < cut < total


def confirmed(fleet: Roll, now: float) -> tuple[int, int, int]:
    """How many replicas have cut it, how many may send nothing without that, and all of them."""
    reached: Sequence[Reach] = [reach_of(one, fleet, now) for one in fleet.replicas]
    return reached.count(Reach.CUT), reached.count(Reach.LAPSED), len(reached)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
