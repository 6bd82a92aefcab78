"""The fleet as JSON: as /health, /nexus/state, /nexus/replicas and screens tell of it."""

from __future__ import annotations

from collections import Counter

from nexus_core import __version__
from nexus_core.control.shared.process import Shared
from nexus_core.state.base import Member
from nexus_core.state.valkey.members import missing
from nexus_core.types import JsonObject


def differing(shared: Shared) -> tuple[str, ...]:
    """Replicas whose configuration is not that of most; of two, the one that is not this."""
    hashes = {one.replica: one.config_hash for one in shared.members if not one.is_dead}
    votes = Counter(hashes.values())
    if len(votes) < 2:
        return ()
    usual = max(votes, key=lambda one: (votes[one], one == shared.config_hash))
    return tuple(sorted(name for name, one in hashes.items() if one != usual))


def replicas_as_json(shared: Shared) -> list[JsonObject]:
    """The fleet for a dashboard: one entry for each process, dead ones included.

    `dead` and `differs` are there only where there is something to tell.
    """
    different = differing(shared)
    return [
        _member(shared, one, has_other_config=one.replica in different) for one in shared.members
    ]


def _member(shared: Shared, one: Member, *, has_other_config: bool) -> JsonObject:
    differs = ["config"] if has_other_config else []
    if one.version != __version__:
        differs.append("version")
    return {
        "name": one.replica,
        "worker": one.worker,
        "process": one.process,
        "is_this": one.process == shared.link.process,
        "address": one.address,
        "pid": one.pid,
        "version": one.version,
        "config_hash": one.config_hash,
        "started_at": one.started,
        "last_beat_seconds": round(one.beat_seconds_ago, 3),
        "switches": one.switches,
        **({"dead": True} if one.is_dead else {}),
        **({"differs": differs} if differs else {}),
    }


def fleet_as_json(shared: Shared) -> JsonObject:
    """How this process stands to its fleet: alone since when, what is closed, and why."""
    link = shared.link
    since = link.alone_since
    return {
        "name": shared.config.name,
        "replica": shared.replica,
        "worker": shared.worker,
        "process": link.process,
        "alone": since is not None,
        "alone_since": since,
        "why": _why(shared),
        "closed": list(shared.closed),
        "quarantine": link.is_quarantined,
        "when_alone": shared.config.when_alone,
        "open_zone_lease_seconds": shared.config.open_zone_lease_seconds,
        "dead_after_seconds": shared.config.dead_after_seconds,
        "switches": shared.switches.version,
        "live": link.live,
    }


def _why(shared: Shared) -> str | None:
    """What is wrong with the store; None: nothing."""
    link = shared.link
    if link.alone_since is not None:
        return link.problem or "it has not answered yet"
    if not link.is_quarantined:
        return None
    others = " and ".join(missing(link.known[0], link.members))
    waits = f"; it waits for word from {others}" if others else ""
    return f"it lost its data{waits}"


def fleet_at(shared: Shared, at: float) -> JsonObject:
    """All of it at a time, in seconds since the epoch: GET /nexus/replicas."""
    return {"at": at, "fleet": fleet_as_json(shared), "replicas": replicas_as_json(shared)}


def address_of(shared: Shared, replica: str) -> str | None:
    """Where others reach a replica, as it says itself; None: nowhere, or there is none."""
    found = [one for one in shared.members if one.replica == replica and one.address is not None]
    return next((one.address for one in sorted(found, key=lambda one: one.is_dead)), None)


def health(shared: Shared, *, is_from_here: bool) -> JsonObject:
    """The fleet's part of /health; what troubles the store is told to this machine alone."""
    told = fleet_as_json(shared)
    shown = ["replica", "alone"]
    if told["why"]:
        shown += ["alone_since"] if told["alone"] else []
        shown += ["closed", *(["why"] if is_from_here else [])]
    different = differing(shared)
    return {
        **{name: told[name] for name in shown},
        **({"differs": list(different)} if different else {}),
    }
