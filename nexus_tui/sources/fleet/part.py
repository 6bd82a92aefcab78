"""One replica as a part of the fleet's data source."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import Counted
from nexus_core.observe.windows.window import MOVING, Window
from nexus_core.types import PrivacyZone
from nexus_tui.sources.base import EventSource
from nexus_tui.sources.fleet.numbers import Past
from nexus_tui.sources.fleet.replica import Replica


class Part:
    """A replica: its data source while there is one, and after that what it had counted."""

    def __init__(self, told: Replica, source: EventSource | None = None) -> None:
        self.told = told  # as the fleet tells
        self.source = source
        self.epoch = 0 if source is None else source.epoch
        self.past: Past | None = None  # it went away
        self.problem: str | None = None  # why nothing of it is seen
        self.task: asyncio.Task[None] | None = None  # that keeps its source
        self.is_settled = source is not None  # what there was at first is known
        self.has_left = False  # it ended as it should, and is no replica any more

    @property
    def name(self) -> str:
        return self.told.name

    @property
    def is_live(self) -> bool:
        """Whether its source tells what happens now."""
        return self.source is not None and self.past is None and self.source.status == "live"

    @property
    def shown(self) -> Replica:
        """The replica, with what is wrong with it from here."""
        source, told = self.source, self.told
        if (stats := self.stats) is not None:
            told = replace(
                told,
                requests=stats.requests,
                in_flight=stats.in_flight,
                failed=stats.failed,
            )
        if source is None or self.past is not None:
            return told if self.problem is None else replace(told, problem=self.problem)
        if source.status == "stale":
            return replace(told, problem=source.notice)
        return replace(told, is_open=source.is_zone_enabled(PrivacyZone.OPEN))

    def begin(self, source: EventSource) -> None:
        """Its data come from this source from now on."""
        self.source, self.epoch = source, source.epoch
        self.past = self.problem = None

    def end(self, at: float) -> None:
        """It went away; `at` in monotonic seconds."""
        if self.source is None or self.past is not None:
            return
        before = {window: self.source.counted_before(window) for window in MOVING}
        self.past = Past(self.source.stats, before, at)

    @property
    def stats(self) -> Stats | None:
        """What it counted; None: nothing is known."""
        if self.past is not None:
            return self.past.stats
        return None if self.source is None else self.source.stats

    def counted_before(self, window: Window, at: float) -> Counted | None:
        """What it had counted before the window."""
        if self.past is not None:
            return self.past.counted_before(window, at)
        return None if self.source is None else self.source.counted_before(window)
