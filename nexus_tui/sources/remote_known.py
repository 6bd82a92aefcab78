"""What is known of an attached Nexus, as its last state says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from nexus_core.config.schema import Config
from nexus_core.control.unsaved import Unsaved
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.events import OperatorActed
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import Counted
from nexus_core.observe.windows.window import Window
from nexus_core.types import PrivacyZone, QueueState
from nexus_tui.sources.fleet.replica import Roll
from nexus_tui.sources.remote_state import RemoteState


class RemoteKnown:
    """The part of an EventSource that is told by the state."""

    def __init__(self) -> None:
        self._known: RemoteState | None = None

    @property
    def _state(self) -> RemoteState:
        assert self._known is not None, "connect first"  # noqa: S101
        return self._known

    @property
    def started_at(self) -> float:
        return self._state.started_at

    @property
    def is_demo(self) -> bool:
        return self._state.is_demo

    @property
    def config(self) -> Config:
        return self._state.config

    @property
    def stats(self) -> Stats:
        return self._state.stats

    @property
    def queue(self) -> QueueState | None:
        return self._state.queue

    @property
    def is_capturing(self) -> bool:
        return self._state.is_capturing

    @property
    def actions(self) -> Sequence[OperatorActed]:
        return tuple(self._state.actions)

    @property
    def unsaved(self) -> Sequence[Unsaved]:
        return self._state.unsaved

    @property
    def speaker(self) -> str | None:
        return None

    @property
    def fleet(self) -> Roll | None:
        return None

    def watch(self) -> Callable[[], None]:
        return lambda: None

    def now(self) -> float:
        return time.time() + self._state.clock_offset

    @property
    def has_windows(self) -> bool:
        return self._state.has_windows

    def counted_before(self, window: Window) -> Counted | None:
        return self._state.windows.get(window)

    def is_zone_enabled(self, zone: PrivacyZone) -> bool:
        return self._state.zones.get(zone, True)

    def backends(self) -> tuple[BackendSnapshot, ...]:
        return tuple(self._state.backends.values())
