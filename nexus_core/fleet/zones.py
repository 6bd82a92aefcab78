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
        self.is_cut_off = False  # the open zone: there is no word from what replicas share
        # Whether bytes may leave for the open zone in this moment, asked right before they do;
        # None: nothing is shared, it holds.
        self.permission: Callable[[], bool] | None = None

    def seen_in(self, snapshot: BackendSnapshot) -> BackendSnapshot:
        """The backend, as its zone is now."""
        is_cut_off = self.is_cut_off and snapshot.zone is PrivacyZone.OPEN
        return replace(snapshot, zone_enabled=snapshot.zone not in self.off, is_cut_off=is_cut_off)
