"""A fleet that tells of members as a test has them, without a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.control.shared.process import Shared
from nexus_core.state.base import Member


def member(replica: str, address: str | None = None, **more: Any) -> Member:
    known: dict[str, Any] = {
        "process": f"{replica}.1",
        "replica": replica,
        "address": address,
        "pid": 7,
        "worker": None,
        "version": "1",
        "config_hash": "aaaa",
        "started": 1.0,
        "beat_seconds_ago": 0.1,
        "switches": 3,
        "is_dead": False,
    }
    return Member(**{**known, **more})


@dataclass
class _Told:
    """Only what others are told of it is real."""

    replica: str
    members: tuple[Member, ...]
    config: FleetConfig = field(default_factory=FleetConfig)
    config_hash: str = "aaaa"
    worker: int | None = None
    closed: tuple[str, ...] = ()
    switches: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(version=3))
    link: SimpleNamespace = field(init=False)

    def __post_init__(self) -> None:
        self.link = SimpleNamespace(
            process=f"{self.replica}.1",
            alone_since=None,
            problem=None,
            is_quarantined=False,
            known=(self.members, 0.0),
            live=len(self.members),
        )


def told_fleet(replica: str, *members: Member) -> Shared:
    return cast("Shared", _Told(replica, members))
