"""A link that tells of members as a test has them, without a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nexus_core.state.base import BeatPart, Member, StoreUnavailableError
from nexus_core.types import JsonObject


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
class ToldLink:
    """Only what others are told of it is real."""

    replica: str
    members: tuple[Member, ...] = ()
    alone_since: float | None = None
    live: int = 1
    restores: bool = False
    parts: list[BeatPart] = field(default_factory=list)

    process: str = field(init=False)

    def __post_init__(self) -> None:
        self.process = f"{self.replica}.1"

    def add(self, part: BeatPart) -> None:
        self.parts.append(part)

    async def take(self, part: str, question: JsonObject) -> JsonObject:
        raise StoreUnavailableError("there is no store")

    def hurry(self) -> None:
        pass
