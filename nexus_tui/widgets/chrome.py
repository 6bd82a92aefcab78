"""Frame lines of every tab: status, tabs, alarms and key hints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.message import Message

from nexus_core.types import PrivacyZone
from nexus_tui.keymap.keys import Key
from nexus_tui.sources.base import EventSource
from nexus_tui.text.costs import sum_sign
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, clip, count, dollars, fit, uptime
from nexus_tui.view.frame import Frame, Frames
from nexus_tui.view.model import ViewModel
from nexus_tui.view.replicas import replicas_cell
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
    TabTitle("keys", "Keys", "Keys"),
)
_WIDE = 100  # columns from which words are written out
_HOST = 24  # columns of the name of another machine, at most
_SHARED = 60  # columns from which the last line has room for hints beside a notice
_BEFORE_NOTICE = "│ "
_ALWAYS = ("back", "help", "palette", "quit")  # hinted at however narrow the screen is


def _zone_cell(frame: Frame, zone: PrivacyZone) -> Cell:
    """`R●`: a backend is usable; `R 0/2`: none of the two is; `R✗`: cut; a dash without any."""
    letter = zone.value[0].upper()
    if zone not in frame.zones_on:
        return f"{letter}✗", "bad"
    usable = [backend.is_usable for backend in frame.backends if backend.snapshot.zone is zone]
    if not usable:
        return letter + NOTHING, "dim"
    if any(usable):
        return f"{letter}●", "good"
    return f"{letter} 0/{len(usable)}", "bad"


def _spend_items(frame: Frame, *, is_short: bool) -> list[Line]:
    """What was spent today, and this month of its limit; nothing where no costs are kept."""
    costs = frame.costs
    if costs is None:
        is_awaited = frame.costs_problem is None
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


def _fleet_items(frame: Frame) -> list[Line]:
    """How many replicas are shown; nothing where there is one, and all is well with it."""
    cell = None if frame.fleet is None else replicas_cell(frame.fleet)
    return [] if cell is None or cell[0] == "" else [(cell,)]


class StatusBar(LineWidget):
    """Address, uptime, zones, health, load and the flags; flags are never left out."""

    raised = True

    def __init__(self, source: EventSource, view: ViewModel, frames: Frames) -> None:
        super().__init__(id="status")
        self._unsaved_at: range | None = None  # the columns of the number of unsaved changes
        self._source = source
        self._view = view
        self._frames = frames

    class SaveWanted(Message):
        """The number of unsaved changes was clicked."""

    def lines(self, width: int, height: int) -> Sequence[Line]:
        flags = self._flags(is_short=width < _WIDE)
        room = width - sum(cell_len(text) + 1 for text, _ in flags)
        self._unsaved_at = range(room, room + cell_len(flags[0][0])) if self._unsaved else None
        left = joined(self._items(width), room, "   " if width >= _WIDE else "  ")
        used = sum(cell_len(text) for text, _ in left)
        cells: list[Cell] = [*left, (" " * max(0, room - used), "text")]
        for flag in flags:
            cells += [flag, (" ", "text")]
        return [tuple(cells)]

    def on_click(self, event: events.Click) -> None:
        if self._unsaved_at is not None and event.x in self._unsaved_at:
            self.post_message(self.SaveWanted())

    @property
    def _unsaved(self) -> int:
        """How many values differ from the configuration file."""
        return len(self._frames.current.unsaved)

    def _flags(self, *, is_short: bool) -> list[Cell]:
        """Alarms first: what does not fit is cut off at the end."""
        flags: list[Cell] = []
        frame, source = self._frames.current, self._source
        if self._unsaved:
            flags.append((f"{self._unsaved}*" if is_short else f"{self._unsaved} unsaved", "warn"))
        if PrivacyZone.OPEN not in frame.zones_on:
            flags.append(("[CUT]" if is_short else "[OPEN ZONE CUT]", "alarm"))
        if frame.status != "live":
            seconds = max(0.0, frame.now - (source.stale_since or frame.now))
            flags.append((f"[STALE {seconds:.0f} s]", "alarm"))
        if source.is_demo:
            flags.append((" DEMO ", "flag"))
        if self._view.paused:
            flags.append(("[PAUSED]", "flag"))
        if frame.is_capturing:
            flags.append(("[REC]", "flag"))
        if source.is_read_only:
            flags.append(("[RO]" if is_short else "[READ-ONLY]", "flag"))
        if source.is_remote:
            host = fit(escaped(source.address.rpartition(":")[0]), _HOST).rstrip()
            flags.append(("[ATT]" if is_short else f"[ATTACHED {host}]", "flag"))
        return flags

    def _items(self, width: int) -> list[Line]:
        frame, source = self._frames.current, self._source
        usable, total = len(frame.usable), frame.total
        health = "dim" if not total else "good" if usable == total else "warn" if usable else "bad"
        zones = [_zone_cell(frame, zone) for zone in PrivacyZone]
        in_flight, up = frame.stats.in_flight, uptime(frame.now - source.started_at)
        rate = f"{self._view.rate.per_second(frame.now):.0f}"
        if width < _WIDE:
            host, _, port = source.address.rpartition(":")
            is_here = not source.is_remote
            shown = f":{port}" if is_here else f"{fit(escaped(host), _HOST).rstrip()}:{port}"
            return [
                (("NEXUS ", "title"), (shown, "bright")),
                *_fleet_items(frame),
                (zones[0], (" ", "text"), zones[1]),
                ((f"{usable}/{total} ok", health),),
                ((f"{in_flight}", "text"), (" in flight", "dim")),
                ((rate, "text"), (" req/s", "dim")),
                *_spend_items(frame, is_short=True),
                (("up ", "dim"), (up, "text")),
            ]
        return [
            (("NEXUS ", "title"), (escaped(source.address), "bright")),
            *_fleet_items(frame),
            (("up ", "dim"), (up, "text")),
            (("zones ", "dim"), zones[0], (" ", "text"), zones[1]),
            (("backends ", "dim"), (f"{usable}/{total} ok", health)),
            (("in flight ", "dim"), (count(in_flight), "text")),
            ((rate, "text"), (" req/s", "dim")),
            *_spend_items(frame, is_short=False),
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
            title = tab.title if width >= _WIDE else tab.short
            if tab.id == self.tab:
                cells.append((f" {digit} {title} ", "tab"))
            else:
                cells += [(f" {digit}", "key"), (f" {title} ", "dim")]
        return [tuple(cells)]

    def on_click(self, event: events.Click) -> None:
        right = 0
        for tab in TABS:
            right += len(tab.title if self.size.width >= _WIDE else tab.short) + 4
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
    """The keys that work here, and a notice at the right of them; a click is as good as the key."""

    raised = True

    class Chosen(Message):
        """A hint was clicked."""

        def __init__(self, key_id: str) -> None:
            super().__init__()
            self.key_id = key_id

    def __init__(self, hints: Callable[[], tuple[Key, ...]]) -> None:
        super().__init__()
        self._hints = hints
        self.notice = ""
        self.is_news = False  # nobody asked for the notice: the hints keep half of the line

    def lines(self, width: int, height: int) -> Sequence[Line]:
        room = self._room_of_hints(width)
        if not self.notice:
            return [_hint_line(self._hints(), width)[0]]
        if not room:
            return [((" ", "text"), (clip(self.notice, width - 2), "warn"))]
        hints = _hint_line(self._hints(), room)[0]
        used = sum(cell_len(text) for text, _ in hints)
        notice = clip(self.notice, width - used - len(_BEFORE_NOTICE) - 1)
        blank = " " * max(0, width - used - len(_BEFORE_NOTICE) - cell_len(notice) - 1)
        return [(*hints, (blank, "text"), (_BEFORE_NOTICE, "dim"), (notice, "warn"))]

    def _room_of_hints(self, width: int) -> int:
        """Cells for the hints: those that a notice leaves; for what is news half at least."""
        if not self.notice:
            return width
        if width < _SHARED:
            return 0
        left = width - cell_len(self.notice) - len(_BEFORE_NOTICE) - 1
        if self.is_news:
            return max(left, width // 2)
        always = tuple([key for key in self._hints() if key.id in _ALWAYS])
        spans = _hint_line(always, width)[1]
        return max(left, spans[-1][0] if spans else 0)

    def on_click(self, event: events.Click) -> None:
        room = self._room_of_hints(self.size.width)
        for right, key_id in _hint_line(self._hints(), room)[1] if room else ():
            if event.x < right:
                self.post_message(self.Chosen(key_id))
                return


@lru_cache(maxsize=32)
def _hint_line(hints: tuple[Key, ...], width: int) -> tuple[Line, tuple[tuple[int, str], ...]]:
    """The hints that fit, and of each where it ends, and its id."""
    widths = {key: cell_len(key.shown) + cell_len(key.hint) + 3 for key in hints}
    last = [key for key in hints if key.id in _ALWAYS]
    room = width - 1 - sum(widths[key] for key in last)
    shown: list[Key] = []
    for key in hints:
        if key.id in _ALWAYS:
            continue
        room -= widths[key]
        if room < 1:
            break
        shown.append(key)
    cells: list[Cell] = [(" ", "text")]
    spans: list[tuple[int, str]] = []
    right = 1
    for key in [*shown, *last]:
        cells += [(key.shown, "key"), (f" {key.hint}", "dim"), ("  ", "text")]
        right += widths[key]
        spans.append((right, key.id))
    return tuple(cells), tuple(spans)


class Bars(NamedTuple):
    """The lines around every tab, from the top."""

    status: StatusBar
    tabs: TabBar
    banner: Banner
    hints: HintBar
