"""The lines around every tab: status, tabs and key hints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message

from nexus_core.registry import BackendSnapshot
from nexus_core.types import HealthStatus, PrivacyZone
from nexus_tui.figures import NOTHING, count, uptime
from nexus_tui.keys import Key
from nexus_tui.source import EventSource
from nexus_tui.untrusted import visible
from nexus_tui.viewmodel import ViewModel
from nexus_tui.widgets.lines import Cell, Line, LineWidget, joined

TABS = (("dashboard", "Dashboard"), ("requests", "Requests"), ("backends", "Backends"))


def is_resting(backend: BackendSnapshot) -> bool:
    """Whether it is left alone for a while after failures or a 429."""
    return backend.rests_until is not None and time.monotonic() < backend.rests_until


def is_usable(backend: BackendSnapshot) -> bool:
    """Whether requests are routed to it."""
    is_well = backend.health is not HealthStatus.UNHEALTHY and not is_resting(backend)
    return backend.enabled and is_well


def zone_cell(backends: Sequence[BackendSnapshot], zone: PrivacyZone) -> Cell:
    """`R●` when the zone has a usable backend, `R✗` when it has none, a dash without any."""
    letter = zone.value[0].upper()
    of_zone = [backend for backend in backends if backend.zone is zone]
    if not of_zone:
        return letter + NOTHING, "dim"
    if any(is_usable(backend) for backend in of_zone):
        return f"{letter}●", "good"
    return f"{letter}✗", "bad"


class StatusBar(LineWidget):
    """Address, uptime, zones, health, load and the flags; flags are never left out."""

    raised = True

    def __init__(self, source: EventSource, view: ViewModel, now: Callable[[], float]) -> None:
        super().__init__(id="status")
        self._source = source
        self._view = view
        self._now = now

    def lines(self, width: int, height: int) -> Sequence[Line]:
        flags = self._flags()
        room = width - sum(cell_len(text) + 1 for text, _ in flags)
        left = joined(self._items(width), room, "   " if width >= 100 else "  ")
        used = sum(cell_len(text) for text, _ in left)
        cells: list[Cell] = [*left, (" " * max(0, room - used), "text")]
        for flag in flags:
            cells += [flag, (" ", "text")]
        return [tuple(cells)]

    def _flags(self) -> list[Cell]:
        flags: list[Cell] = []
        if self._source.is_demo:
            flags.append((" DEMO ", "flag"))
        if self._source.is_remote:
            host = self._source.address.rpartition(":")[0] or self._source.address
            flags.append((f"[ATTACHED {visible(host)}]", "dim"))
        if self._source.is_read_only:
            flags.append(("[READ-ONLY]", "flag"))
        if self._source.is_capturing:
            flags.append(("[REC]", "bad"))
        if self._view.paused:
            flags.append(("[PAUSED]", "flag"))
        if (since := self._source.stale_since) is not None:
            seconds = max(0, int(self._now() - since))
            flags.append((f"[STALE {seconds} s]", "bad"))
        return flags

    def _items(self, width: int) -> list[Line]:
        backends = self._source.backends()
        usable = sum(map(is_usable, backends))
        total = len(backends) + len(self._source.config.unusable)
        health = "dim" if not total else "good" if usable == total else "warn" if usable else "bad"
        zones = [zone_cell(backends, zone) for zone in PrivacyZone]
        stats = self._source.stats
        now = self._now()
        rate = f"{self._view.rate.per_second(now):.0f}"
        if width < 100:
            return [
                (("NEXUS ", "title"), (f":{self._source.address.rpartition(':')[2]}", "bright")),
                (zones[0], (" ", "text"), zones[1]),
                ((f"{usable}/{total} ok", health),),
                ((f"{stats.in_flight}", "text"), (" in flight", "dim")),
                ((rate, "text"), (" req/s", "dim")),
                (("up ", "dim"), (uptime(now - self._source.started_at), "text")),
            ]
        return [
            (("NEXUS ", "title"), (visible(self._source.address), "bright")),
            (("up ", "dim"), (uptime(now - self._source.started_at), "text")),
            (("zones ", "dim"), zones[0], (" ", "text"), zones[1]),
            (("backends ", "dim"), (f"{usable}/{total} ok", health)),
            (("in flight ", "dim"), (count(stats.in_flight), "text")),
            ((rate, "text"), (" req/s", "dim")),
        ]


class TabBar(LineWidget):
    """The tabs by digit; a click opens one."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self.tab = TABS[0][0]

    def lines(self, width: int, height: int) -> Sequence[Line]:
        cells: list[Cell] = []
        for digit, (tab, title) in enumerate(TABS, 1):
            if tab == self.tab:
                cells.append((f" {digit} {title} ", "tab"))
            else:
                cells += [(f" {digit}", "key"), (f" {title} ", "dim")]
        return [tuple(cells)]

    def on_click(self, event: events.Click) -> None:
        right = 0
        for tab, title in TABS:
            right += len(title) + 4
            if event.x < right:
                self.post_message(self.Chosen(tab))
                return


class HintBar(LineWidget):
    """The keys that work here, or a short notice in their place."""

    raised = True

    def __init__(self, hints: Callable[[], list[Key]]) -> None:
        super().__init__(id="hints")
        self._hints = hints
        self.notice = ""

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if self.notice:
            return [((" ", "text"), (self.notice, "warn"))]
        items: list[Line] = [((key.shown, "key"), (f" {key.hint}", "dim")) for key in self._hints()]
        # Help and quit come last and are there however narrow the screen is.
        must = joined(items[-2:], width)
        room = width - sum(cell_len(text) for text, _ in must) - 2
        return [(*joined(items[:-2], room), ("  ", "text"), *must)]
