"""Frame: the data of one painting, collected and sorted once for all widgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nexus_core.config.schema import Config, UnusableBackend
from nexus_core.control.unsaved import Unsaved
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.report import CostReport
from nexus_core.observe.events import OperatorActed
from nexus_core.observe.operation_stats import BackendStats
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import (
    BackendCounted,
    Counted,
    backend_since,
    stats_but_backends_since,
)
from nexus_core.observe.windows.window import Window
from nexus_core.types import BackendState, PrivacyZone, QueueState
from nexus_tui.sources.base import EventSource, Status
from nexus_tui.sources.fleet.replica import Roll
from nexus_tui.view.model import ViewModel

_Counts = tuple[int | bool | None, ...]
_NOTHING = frozenset[str]()
_NEVER_USED = BackendStats()  # all zeros; never changed


@dataclass(frozen=True, slots=True, eq=False)
class BackendView:
    """One backend in a frame; the same object as before while its row is unchanged."""

    snapshot: BackendSnapshot
    state: BackendState
    is_usable: bool  # requests are routed to it, if not for each of its models
    cooling: Mapping[str, str]  # models in cooldown or half-open, by upstream name: a note
    stats: BackendStats  # since the start: zeros for one never used; they go on counting
    recent: BackendStats  # of the frame's window
    switching: bool | None  # on or off: requested, not confirmed yet
    unsaved: frozenset[str]  # keys that differ from the file, `backend` if it is not there
    counts: _Counts  # the data of its row beside the snapshot
    counted: BackendCounted | None  # before the window; None: nothing
    is_lasting: bool  # its row does not change by time alone


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The state of a Nexus at one time, as far as the screen shows it."""

    at: float  # monotonic seconds, the clock of cooldowns
    now: float  # seconds since the epoch, by the clock that events are stamped with
    backends: tuple[BackendView, ...]  # in the order of the configuration
    usable: tuple[BackendSnapshot, ...]  # those that requests are routed to
    config: Config
    stats: Stats  # since the start
    window: Window
    recent: Stats  # of the window, but for its backends
    costs: CostReport | None
    costs_problem: str | None
    queue: QueueState | None
    zones_on: frozenset[PrivacyZone]  # those that requests may go to
    status: Status
    may_change: bool  # commands are carried out
    notice: str | None  # a problem of the connection to the Nexus
    is_capturing: bool
    actions: Sequence[OperatorActed]  # the last of operators, newest first
    unsaved: Sequence[Unsaved]  # what differs from the file until restart
    session: str  # this screen's own word, by which its own actions are known
    fleet: Roll | None  # the replicas; None: it is in no fleet

    @property
    def total(self) -> int:
        """Number of backends, unusable ones included."""
        return len(self.backends) + len(self.config.unusable)

    def of_zone(self, zone: PrivacyZone) -> list[BackendView]:
        """The zone's backends."""
        return [backend for backend in self.backends if backend.snapshot.zone is zone]

    def unusable_of_zone(self, zone: PrivacyZone) -> list[UnusableBackend]:
        """The zone's backends of the configuration that can't be used, as without a key."""
        return [backend for backend in self.config.unusable if backend.zone is zone]


class Frames:
    """Maker of frames. Every widget draws from `current`, until the next painting renews it."""

    def __init__(self, source: EventSource, view: ViewModel, now: Callable[[], float]) -> None:
        self._source = source
        self._view = view
        self._now = now
        self._kept: dict[str, BackendView] = {}
        self._counted: Counted | None = None  # before the window
        self.current = self.renew()

    def renew(self) -> Frame:
        """Make a new frame; unchanged backends are taken over from the previous one."""
        source, at, window = self._source, time.monotonic(), self._view.window
        if not source.has_windows:
            window = Window.START
        self._counted = counted = source.counted_before(window)
        backends = self._backends(at)
        self.current = Frame(
            at=at,
            now=self._now(),
            backends=backends,
            usable=tuple([backend.snapshot for backend in backends if backend.is_usable]),
            config=source.config,
            stats=source.stats,
            window=window,
            recent=(
                source.stats if counted is None else stats_but_backends_since(source.stats, counted)
            ),
            costs=source.costs,
            costs_problem=source.costs_problem,
            queue=source.queue,
            zones_on=frozenset([zone for zone in PrivacyZone if source.is_zone_enabled(zone)]),
            status=source.status,
            may_change=source.status == "live" and not source.is_read_only,
            notice=source.notice,
            is_capturing=source.is_capturing,
            actions=source.actions,
            unsaved=source.unsaved,
            session=source.session,
            fleet=source.fleet,
        )
        return self.current

    def _backends(self, at: float) -> tuple[BackendView, ...]:
        all_stats, pending = self._source.stats.backends, self._view.pending
        counted = dict[str, BackendCounted]() if self._counted is None else self._counted.backends
        before, kept = self._kept, dict[str, BackendView]()
        unsaved = _keys_by_backend(self._source.unsaved)
        for snapshot in self._source.backends():
            stats = all_stats.get(snapshot.name, _NEVER_USED)  # adds nothing to the statistics
            counts = (
                stats.answers,
                stats.failures,
                stats.cost_nano_usd,
                stats.estimated_nano_usd,
                stats.unpriced,
                stats.first_byte.count,
                switching := pending.get(snapshot.name),
            )
            one = before.get(snapshot.name)
            if (
                one is None
                or not one.is_lasting
                or one.snapshot is not snapshot
                or one.stats is not stats
                or one.counts != counts
                or one.counted is not counted.get(snapshot.name)
                or one.unsaved != unsaved.get(snapshot.name, _NOTHING)
            ):
                keys = unsaved.get(snapshot.name, _NOTHING)
                row = _Row(stats, counted.get(snapshot.name), counts, switching, keys)
                one = _backend_view(snapshot, row, at)
            kept[snapshot.name] = one
        self._kept = kept
        return tuple(kept.values())


class _Row(NamedTuple):
    """The numbers of a backend's row."""

    stats: BackendStats
    counted: BackendCounted | None
    counts: _Counts
    switching: bool | None
    unsaved: frozenset[str]


def _keys_by_backend(unsaved: Sequence[Unsaved]) -> dict[str, frozenset[str]]:
    keys: dict[str, frozenset[str]] = {}
    for one in unsaved:
        keys[one.backend] = keys.get(one.backend, _NOTHING) | {one.key or "backend"}
    return keys


def _backend_view(snapshot: BackendSnapshot, row: _Row, at: float) -> BackendView:
    has_cooldown = snapshot.cooldown is not None or bool(snapshot.cooldowns)
    is_draining = bool(snapshot.in_flight) and not snapshot.is_on  # since so many seconds
    return BackendView(
        snapshot=snapshot,
        state=snapshot.state(at),
        is_usable=snapshot.is_usable(at),
        cooling=_cooling(snapshot, at) if has_cooldown else {},
        stats=row.stats,
        recent=backend_since(row.stats, row.counted),
        switching=row.switching,
        unsaved=row.unsaved,
        counts=row.counts,
        counted=row.counted,
        is_lasting=not has_cooldown and not is_draining,
    )


def _cooling(backend: BackendSnapshot, at: float) -> dict[str, str]:
    return {
        model: cooldown.note(at)
        for model, cooldown in backend.cooldowns.items()
        if cooldown.is_circuit_open or at < cooldown.until
    }
