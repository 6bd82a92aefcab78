"""What is known of a fleet, put together from its replicas' data sources."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from nexus_core.config.schema import Config
from nexus_core.control.unsaved import Unsaved
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.report import CostReport
from nexus_core.observe.events import OperatorActed
from nexus_core.observe.requests import RecentRequests
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import Counted
from nexus_core.observe.windows.window import Window
from nexus_core.types import PrivacyZone, QueueState
from nexus_tui.sources.base import LAST_ACTIONS, DiscoverySource, EventSource, Status
from nexus_tui.sources.fleet.backends import FleetBackends
from nexus_tui.sources.fleet.numbers import FleetNumbers
from nexus_tui.sources.fleet.part import Part
from nexus_tui.sources.fleet.replica import Replica, Roll
from nexus_tui.sources.fleet.requests import FleetRequests

_SWITCHED_ON = ", on "  # before the name of the replica where a switch was thrown


class FleetKnown:
    """The part of an EventSource that its replicas' sources tell."""

    def __init__(self, seed: EventSource, roll: Roll, clock: Callable[[], float]) -> None:
        self.seed, self.seed_name = seed, roll.here
        self.last_roll = roll
        self.seed_part = Part(roll.get(roll.here) or Replica(name=roll.here), seed)
        self.parts: dict[str, Part] = {roll.here: self.seed_part}
        self.is_remote = seed.is_remote
        self.is_demo = seed.is_demo
        self.session = seed.session
        self.epoch = 0  # of a restarted replica the old requests stay
        self.requests_of = FleetRequests()
        self.costs: CostReport | None = None
        self.costs_problem: str | None = None
        self._clock = clock  # monotonic seconds
        self._numbers = FleetNumbers()
        self._backends = FleetBackends(clock)
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._is_closed = False

    # --- the replicas --------------------------------------------------------------------

    @property
    def fleet(self) -> Roll:
        shown = [part.shown for _, part in sorted(self.parts.items()) if not part.has_left]
        return replace(self.last_roll, here=self.seed_name, replicas=tuple(shown))

    def open_parts(self) -> list[Part]:
        """Those that have a source, the one that was attached to first."""
        return [part for part in self.parts.values() if part.source is not None and not part.past]

    def open_sources(self) -> list[EventSource]:
        """Their sources."""
        return [part.source for part in self.open_parts() if part.source is not None]

    def live_parts(self) -> list[Part]:
        """Those whose source tells what happens now."""
        return [part for part in self.parts.values() if part.is_live]

    def live_sources(self) -> list[EventSource]:
        """Their sources."""
        return [part.source for part in self.live_parts() if part.source is not None]

    def _speaking(self) -> list[EventSource]:
        """The sources to believe about what holds now: the live ones, else what is there."""
        return self.live_sources() or self.open_sources() or [self.seed]

    def _news(self) -> None:
        self._changed.set()

    def close(self) -> None:
        """Stop receiving."""
        self._is_closed = True
        for part in self.parts.values():
            if part.source is not None:
                part.source.close()
        self._drained.set()
        self._news()

    # --- of the one that was attached to --------------------------------------------------

    @property
    def address(self) -> str:
        return self.seed.address

    @property
    def started_at(self) -> float:
        return self.seed.started_at

    @property
    def config(self) -> Config:
        return self.seed.config

    @property
    def discovery(self) -> DiscoverySource | None:
        return self.seed.discovery

    def now(self) -> float:
        return self.seed.now()

    @property
    def status(self) -> Status:
        if self._is_closed:
            return "closed"
        return "live" if self.live_parts() else self.seed.status

    @property
    def stale_since(self) -> float | None:
        return self.seed.stale_since if self.status == "stale" else None

    @property
    def notice(self) -> str | None:
        """What is wrong with single replicas is told of these."""
        return self.seed.notice if self.status == "stale" else None

    # --- of all of them ------------------------------------------------------------------

    @property
    def requests(self) -> RecentRequests:
        return self.requests_of.recent

    @property
    def stats(self) -> Stats:
        parts = [stats for part in self.parts.values() if (stats := part.stats) is not None]
        return self._numbers.stats(parts)

    @property
    def has_windows(self) -> bool:
        return all(source.has_windows for source in self.open_sources())

    def counted_before(self, window: Window) -> Counted | None:
        if window is Window.START:
            return None
        at = self._clock()
        parts = [part.counted_before(window, at) for part in self.parts.values()]
        return self._numbers.counted(window, parts)

    def backends(self) -> tuple[BackendSnapshot, ...]:
        parts = self.live_parts() or self.open_parts() or [self.seed_part]
        told = [(part.name, part.source.backends()) for part in parts if part.source is not None]
        return self._backends.together(told)

    @property
    def queue(self) -> QueueState | None:
        queues = [queue for source in self._speaking() if (queue := source.queue) is not None]
        if not queues:
            return None
        return QueueState(
            waiting=sum(queue.waiting for queue in queues),
            max_size=sum(queue.max_size for queue in queues),
        )

    @property
    def is_capturing(self) -> bool:
        return any(source.is_capturing for source in self._speaking())

    def is_zone_enabled(self, zone: PrivacyZone) -> bool:
        """Whether one of them at least still sends there: a cut holds once all have carried it out.

        One that is alone sends nothing to the open zone, whatever is known of its switch.
        """
        counted = [
            part.source
            for part in self.live_parts()
            if part.source is not None and not (zone is PrivacyZone.OPEN and self._has_lapsed(part))
        ]
        return any(source.is_zone_enabled(zone) for source in counted or self._speaking())

    def _has_lapsed(self, part: Part) -> bool:
        return part.told.alone_since is not None or self.last_roll.has_lapsed(part.told, self.now())

    @property
    def actions(self) -> Sequence[OperatorActed]:
        """What each replica noted; a switch that was carried on, only where it was thrown."""
        elsewhere = tuple([f"{_SWITCHED_ON}{part.name}" for part in self.open_parts()])
        noted = [
            acted
            for source in self.open_sources()
            for acted in source.actions
            if not acted.text.endswith(elsewhere)
        ]
        noted.sort(key=lambda acted: acted.at, reverse=True)
        return noted[:LAST_ACTIONS]

    @property
    def unsaved(self) -> Sequence[Unsaved]:
        return [*{one.id: one for source in self._speaking() for one in source.unsaved}.values()]
