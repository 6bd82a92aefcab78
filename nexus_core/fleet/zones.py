"""Zones of backends: their switches, and the permission to use the open one."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.types import PrivacyZone


class Zones:
    """Which zones requests may go to."""

    def __init__(self) -> None:
        self.off: set[PrivacyZone] = set()  # switched off
        # The store without whose word the open zone is closed, for people; None: it is not.
        self.silent_store: str | None = None
        # Whether bytes may leave for the open zone in this moment, asked right before they do;
        # None: nothing is shared, it holds.
        self.permission: Callable[[], bool] | None = None

    @property
    def is_cut_off(self) -> bool:
        """Whether the open zone is closed for want of word from what processes share."""
        return self.silent_store is not None

    def seen_in(self, snapshot: BackendSnapshot) -> BackendSnapshot:
        """The backend, as its zone is now."""
        silent = self.silent_store if snapshot.zone is PrivacyZone.OPEN else None
        return replace(snapshot, zone_enabled=snapshot.zone not in self.off, silent_store=silent)
