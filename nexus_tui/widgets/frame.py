"""Frame lines of every tab: status, tabs, alarms and key hints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.message import Message

from nexus_core.types import PrivacyZone
from nexus_tui.keymap.keys import Key
from nexus_tui.sources.base import EventSource
from nexus_tui.text.costs import sum_sign
from nexus_tui.text.escape import visible
from nexus_tui.text.numbers import NOTHING, clip, count, dollars, fit, uptime
from nexus_tui.view.backend_status import is_usable
from nexus_tui.view.model import ViewModel
from nexus_tui.widgets.base.lines import Cell, Line, LineWidget, joined


class TabTitle(NamedTuple):
    """A tab by its id, its title, and the title where there is little room."""

    id: str
    title: str
    short: str


TABS = (
    TabTitle("dashboard", "Dashboard", "Dash"),
    TabTitle("requests", "Requests", "Reqs"),
    TabTitle("backends", "Backends", "Back"),
    TabTitle("zones", "Zones", "Zones"),
    TabTitle("costs", "Costs", "Costs"),
    TabTitle("logs", "Logs", "Logs"),
)
_WIDE = 100  # columns from which words are written out
_HOST = 24  # columns of the name of another machine, at most
_ALWAYS = ("back", "help", "palette", "quit")  # hinted at however narrow the screen is


def zone_cell(source: EventSource, zone: PrivacyZone) -> Cell:
    """`R●` when the zone has a usable backend, `R✗` when it has none or is cut, a dash without."""
    letter = zone.value[0].upper()
    of_zone = [backend for backend in source.backends() if backend.zone is zone]
    if not source.is_zone_enabled(zone):
        return f"{letter}✗", "bad"
    if not of_zone:
        return letter + NOTHING, "dim"
    if any(is_usable(backend) for backend in of_zone):
        return f"{letter}●", "good"
    return f"{letter}✗", "bad"


def spend_items(source: EventSource, *, is_short: bool) -> list[Line]:
    """What was spent today, and this month of its limit; nothing where no costs are kept."""
    costs = source.costs
    if costs is None:
        is_awaited = source.costs_problem is None
        return [(("$… today", "dim"),)] if is_awaited else []
    unpriced, estimated = bool(costs.today_unpriced), bool(costs.today_estimated)
    sign = sum_sign(is_estimated=estimated, is_unpriced=unpriced)
    spent = dollars(costs.today, 2 if is_short else 4)
    items: list[Line] = [((f"{sign}{spent}", "text"), (" today", "dim"))]
    if costs.monthly_limit is not None:
        sign = "≈" if costs.month_estimated else ""
        month = f"{sign}{dollars(costs.month, 2)}/${costs.monthly_limit:,.0f}"
        style = "bad" if costs.month >= costs.monthly_limit else "text"
        items.append(((month, style), ("" if is_short else " month", "dim")))
    return items


class StatusBar(LineWidget):
    """Address, uptime, zones, health, load and the flags; flags are never left out."""

    raised = True

    def __init__(self, source: EventSource, view: ViewModel, now: Callable[[], float]) -> None:
        super().__init__(id="status")
        self._source = source
        self._view = view
        self._now = now

    def lines(self, width: int, height: int) -> Sequence[Line]:
        flags = self._flags(is_short=width < _WIDE)
        room = width - sum(cell_len(text) + 1 for text, _ in flags)
        left = joined(self._items(width), room, "   " if width >= _WIDE else "  ")
        used = sum(cell_len(text) for text, _ in left)
        cells: list[Cell] = [*left, (" " * max(0, room - used), "text")]
        for flag in flags:
            cells += [flag, (" ", "text")]
        return [tuple(cells)]

    def _flags(self, *, is_short: bool) -> list[Cell]:
        """Alarms first: what does not fit is cut off at the end."""
        flags: list[Cell] = []
        if not self._source.is_zone_enabled(PrivacyZone.OPEN):
            flags.append(("[CUT]" if is_short else "[OPEN ZONE CUT]", "alarm"))
        if self._source.status != "live":
            seconds = max(0.0, self._now() - (self._source.stale_since or self._now()))
            flags.append((f"[STALE {seconds:.0f} s]", "alarm"))
        if self._source.is_demo:
            flags.append((" DEMO ", "flag"))
        if self._view.paused:
            flags.append(("[PAUSED]", "flag"))
        if self._source.is_capturing:
            flags.append(("[REC]", "flag"))
        if self._source.is_read_only:
            flags.append(("[RO]" if is_short else "[READ-ONLY]", "flag"))
        if self._source.is_remote:
            host = fit(visible(self._source.address.rpartition(":")[0]), _HOST).rstrip()
            flags.append(("[ATT]" if is_short else f"[ATTACHED {host}]", "flag"))
        return flags

    def _items(self, width: int) -> list[Line]:
        backends = self._source.backends()
        usable = sum(map(is_usable, backends))
        total = len(backends) + len(self._source.config.unusable)
        health = "dim" if not total else "good" if usable == total else "warn" if usable else "bad"
        zones = [zone_cell(self._source, zone) for zone in PrivacyZone]
        stats = self._source.stats
        now = self._now()
        rate = f"{self._view.rate.per_second(now):.0f}"
        if width < _WIDE:
            host, _, port = self._source.address.rpartition(":")
            is_here = not self._source.is_remote
            shown = f":{port}" if is_here else f"{fit(visible(host), _HOST).rstrip()}:{port}"
            return [
                (("NEXUS ", "title"), (shown, "bright")),
                (zones[0], (" ", "text"), zones[1]),
                ((f"{usable}/{total} ok", health),),
                ((f"{stats.in_flight}", "text"), (" in flight", "dim")),
                ((rate, "text"), (" req/s", "dim")),
                *spend_items(self._source, is_short=True),
                (("up ", "dim"), (uptime(now - self._source.started_at), "text")),
            ]
        return [
            (("NEXUS ", "title"), (visible(self._source.address), "bright")),
            (("up ", "dim"), (uptime(now - self._source.started_at), "text")),
            (("zones ", "dim"), zones[0], (" ", "text"), zones[1]),
            (("backends ", "dim"), (f"{usable}/{total} ok", health)),
            (("in flight ", "dim"), (count(stats.in_flight), "text")),
            ((rate, "text"), (" req/s", "dim")),
            *spend_items(self._source, is_short=False),
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
        self.tab = TABS[0].id

    def lines(self, width: int, height: int) -> Sequence[Line]:
        cells: list[Cell] = []
        for digit, tab in enumerate(TABS, 1):
            title = self._title(tab, width)
            if tab.id == self.tab:
                cells.append((f" {digit} {title} ", "tab"))
            else:
                cells += [(f" {digit}", "key"), (f" {title} ", "dim")]
        return [tuple(cells)]

    def _title(self, tab: TabTitle, width: int) -> str:
        return tab.title if width >= _WIDE else tab.short

    def on_click(self, event: events.Click) -> None:
        right = 0
        for tab in TABS:
            right += len(self._title(tab, self.size.width)) + 4
            if event.x < right:
                self.post_message(self.Chosen(tab.id))
                return


class Banner(LineWidget):
    """Alarms, one line each, on every tab; takes no room while there is none."""

    def __init__(self, alarms: Callable[[bool], list[str]]) -> None:
        super().__init__(id="banner")
        self._alarms = alarms  # told whether they have to be short
        self._room = -1  # lines that it has; -1: not asked yet

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [((f" {alarm}".ljust(width), "alarm"),) for alarm in self._alarms(width < _WIDE)]

    def share_room(self) -> None:
        """Take as many lines as there are alarms."""
        needed = len(self._alarms(False))
        if needed != self._room:
            self._room = self.styles.height = needed
            self.display = bool(needed)


class HintBar(LineWidget):
    """The keys that work here, or a short notice in their place; a click is as good as the key."""

    raised = True

    class Chosen(Message):
        """A hint was clicked."""

        def __init__(self, key_id: str) -> None:
            super().__init__()
            self.key_id = key_id

    def __init__(self, hints: Callable[[], list[Key]]) -> None:
        super().__init__()
        self._hints = hints
        self._spans: list[tuple[int, str]] = []  # where each hint ends, and its id
        self.notice = ""

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if self.notice:
            self._spans = []
            return [((" ", "text"), (clip(self.notice, width - 2), "warn"))]
        hints = self._hints()
        first = [key for key in hints if key.id not in _ALWAYS]
        last = [key for key in hints if key.id in _ALWAYS]
        room = width - sum(map(_hint_width, last)) - 1
        shown: list[Key] = []
        for key in first:
            if sum(map(_hint_width, [*shown, key])) + 1 > room:
                break
            shown.append(key)
        cells: list[Cell] = [(" ", "text")]
        self._spans, right = [], 1
        for key in [*shown, *last]:
            cells += [(key.shown, "key"), (f" {key.hint}", "dim"), ("  ", "text")]
            right += _hint_width(key)
            self._spans.append((right, key.id))
        return [tuple(cells)]

    def on_click(self, event: events.Click) -> None:
        for right, key_id in self._spans:
            if event.x < right:
                self.post_message(self.Chosen(key_id))
                return


def _hint_width(key: Key) -> int:
    return cell_len(key.shown) + cell_len(key.hint) + 3
