"""The processes of a fleet: what each tells of itself, and what it reads of the others."""

from __future__ import annotations

import hashlib
from collections import Counter
from secrets import token_hex

import msgspec

from nexus_core.config.schema import COMPUTED, Config
from nexus_core.state.base import Member
from nexus_core.types import is_list, is_object

# What may differ from replica to replica: ports, paths, names, and what a screen looks like.
_OWN = {
    "server": {"host", "port", "max_connections", "workers"},
    "storage": {"path"},
    "fleet": {"replica", "advertise", "url_env"},
}
_OWN_SECTIONS = {"tui", "path", "unusable", "notes", "outdated"}


class Myself(msgspec.Struct, frozen=True, kw_only=True):
    """What a process tells of itself, in the store as JSON."""

    process: str
    replica: str
    address: str | None
    pid: int
    worker: int | None
    version: str
    config_hash: str
    started: float

    def as_member(
        self, *, beat_seconds_ago: float, switches: int = 0, is_dead: bool = False
    ) -> Member:
        """The process with what the store knows of it."""
        return Member(
            process=self.process,
            replica=self.replica,
            address=self.address,
            pid=self.pid,
            worker=self.worker,
            version=self.version,
            config_hash=self.config_hash,
            started=self.started,
            beat_seconds_ago=max(0.0, beat_seconds_ago),
            switches=switches,
            is_dead=is_dead,
        )


def process_id(replica: str, worker: int | None) -> str:
    """A name that no other start of a process has."""
    place = replica if worker is None else f"{replica}.{worker}"
    return f"{place}.{token_hex(4)}"


def config_hash(config: Config) -> str:
    """What replicas compare: 12 hexadecimal digits of all that should be alike in a fleet.

    Ports, paths and names of replicas are no difference, and no key is part of it.
    """
    own = {name: dict.fromkeys(keys, True) for name, keys in _OWN.items()}
    shared = config.model_dump(mode="json", exclude={**dict.fromkeys(_OWN_SECTIONS, True), **own})
    for section, *keys in COMPUTED:
        tables = shared.get(str(section))
        for table in tables if is_list(tables) else [tables]:
            if is_object(table) and keys:
                table.pop(str(keys[0]), None)
    text = msgspec.json.encode(shared, order="sorted")
    return hashlib.sha256(text).hexdigest()[:12]


def read_members(told: object) -> tuple[Member, ...]:
    """The members of a beat's answer; by replica and worker, the newest process first of each."""
    found: list[Member] = []
    for _process, text, age_ms, is_dead, switches in told if is_list(told) else ():
        try:
            me = msgspec.json.decode(text, type=Myself)
        except msgspec.DecodeError:
            continue  # of a version that tells other things
        found.append(
            me.as_member(
                beat_seconds_ago=age_ms / 1000, switches=int(switches), is_dead=bool(is_dead)
            )
        )
    return tuple(sorted(found, key=lambda one: (one.replica, one.worker or 0, -one.started)))


def ago_ms(members: tuple[Member, ...], at: float, now: float) -> dict[str, int]:
    """How many milliseconds ago each process was heard that lived at a time; both in seconds."""
    silent = now - at
    return {
        one.process: round((one.beat_seconds_ago + silent) * 1000)
        for one in members
        if not one.is_dead
    }


def missing(before: tuple[Member, ...], now: tuple[Member, ...]) -> list[str]:
    """Replicas of which not as many processes live as before."""
    lived, live = (
        Counter(one.replica for one in members if not one.is_dead) for members in (before, now)
    )
    return sorted(lived - live)
