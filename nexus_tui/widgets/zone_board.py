"""Zone board: state, answers, and impact of cutting the open zone."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from nexus_core.control.cuts import cut_effects
from nexus_core.routing.switch_impact import Hit, hits
from nexus_core.types import PrivacyZone
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clock, count, fit, noun, packed, wrap
from nexus_tui.view.frame import BackendView, Frames
from nexus_tui.view.model import ViewModel
from nexus_tui.widgets.base.lines import Cell, Line, LineWidget, rule

_ZONES = tuple(PrivacyZone)
_EMPTY = {  # what a zone without a backend means
    PrivacyZone.RESTRICTED: "no backend: requests that must stay are refused",
    PrivacyZone.OPEN: "no backend: nothing is sent to a cloud",
}
_HEAD = 2
_WIDE = 100  # columns from which a zone takes one line, not two


class ZoneBoard(LineWidget):
    """Zone board: one or two lines per zone, and the impact of a cut."""

    def __init__(self, frames: Frames, view: ViewModel) -> None:
        super().__init__(id="zone-board")
        self._frames = frames
        self._view = view
        self._cursor = _ZONES.index(PrivacyZone.OPEN)

    @property
    def selected(self) -> PrivacyZone:
        return _ZONES[self._cursor]

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [
            rule(width, "Zones", self._lasts),
            (),
            *(line for zone in _ZONES for line in self._zone(zone)),
            (),
            *self._recent(width),
            (),
            *self._cut(PrivacyZone.OPEN, width),
        ]

    def line_is_selected(self, y: int) -> bool:
        return (y - _HEAD) // self._zone_lines == self._cursor

    @property
    def _zone_lines(self) -> int:
        """How many lines a zone takes."""
        return 1 if self.size.width >= _WIDE else 2

    @property
    def _lasts(self) -> str:
        if self._frames.current.fleet is not None:
            return "on/off holds on every replica, until it is switched again"
        return "on/off lasts until the server restarts"

    def _zone(self, zone: PrivacyZone) -> list[Line]:
        frame = self._frames.current
        backends, is_on = frame.of_zone(zone), zone in frame.zones_on
        answered = sum(one.stats.answers for one in backends)
        state = _state(backends, is_on=is_on)
        named: Line = ((f" {zone.value.upper():<11}", "bright"), (fit(state[0], 15), state[1]))
        if not backends and is_on:
            return [(*named, (_EMPTY[zone], "dim")), ()][: self._zone_lines]
        line: Line = (
            *named,
            (f"{len(backends):>3} {noun(len(backends), 'backend'):<8}", "text"),
            (f"{count(answered):>11} {noun(answered, 'answer'):<7}", "text"),
        )
        if zone is PrivacyZone.RESTRICTED:
            away = sum(one.stats.answers for one in backends if one.snapshot.type.is_cloud)
            note: Cell = (f"{count(away)} of them from a cloud", "warn" if away else "dim")
        else:
            key = "[!] CUT NOW" if is_on else "[!] REOPEN (asks)"
            note = (f" {key} ", "alarm") if frame.may_change else ("", "text")
        if self._zone_lines == 1:
            return [(*line, (" since the start", "text"), ("   ", "text"), note)]
        return [line, ((" " * 12, "text"), note)]

    def _recent(self, width: int) -> list[Line]:
        frame = self._frames.current
        parts = [f"{frame.window.shown}:"]
        for zone in _ZONES:
            answers = sum(one.recent.answers for one in frame.of_zone(zone))
            parts.append(f"{count(answers)} {zone.value}")
        by_cut, privacy = frame.recent.refused_by_cut, frame.recent.refused_for_privacy
        parts += [f"{count(privacy)} refused for privacy", f"{count(by_cut)} refused by the cut"]
        style = "warn" if by_cut or privacy else "text"
        return [((f" {part}", style),) for part in packed(parts, width - 2, "   ")]

    def _cut(self, zone: PrivacyZone, width: int) -> list[Line]:
        frame = self._frames.current
        backends, is_on = [one.snapshot for one in frame.of_zone(zone)], zone in frame.zones_on
        running = sum(backend.in_flight for backend in backends)
        if is_on:
            head: Cell = (f" Affected models if {zone.value.upper()} is cut now", "head")
            names = [backend.name for backend in backends]
            found = hits(names, frame.usable, frame.config.routing)
            tail = f"in flight: {running}"
        else:
            cut = self._view.zones.cuts.get(zone)
            since = "" if cut is None else f" since {clock(cut.at)}"
            head = (f" {zone.value.upper()} is cut{since}", "head")
            found = []
            tail = f"still running: {running}"
            if cut is not None:
                effects = cut_effects(cut.ended, cut.refused, cut.elsewhere)
                tail = f"{effects}, {tail}"
        lines: list[Line] = [(head,)]
        text = "   ".join(map(_hit, found)) or "no model" * is_on
        lines += [((f"   {part}", "text"),) for part in wrap(text, width - 4) if part]
        return [*lines, *(((f"   {part}", "dim"),) for part in wrap(tail, width - 4))]

    def select(self, zone: PrivacyZone) -> None:
        """Put the cursor on a zone."""
        self.move(_ZONES.index(zone) - self._cursor)

    # --- moving --------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        """Move the cursor; it is seen when the board is drawn."""
        self._cursor = max(0, min(self._cursor + rows, len(_ZONES) - 1))
        self.forget()  # the same lines, with another one selected

    def page(self, pages: int) -> None:
        self.move(pages)

    def edge(self, direction: int) -> None:
        self.move(direction * len(_ZONES))

    def on_click(self, event: events.Click) -> None:
        self.move((event.y - _HEAD) // self._zone_lines - self._cursor)
        self.redraw()


def _state(backends: Sequence[BackendView], *, is_on: bool) -> Cell:
    """The zone's switch, and in a word what keeps a zone that is on from serving."""
    if not is_on:
        return "✗ cut", "bad"
    if not backends:
        return "○ empty", "dim"
    if any(one.snapshot.silent_store for one in backends):
        return "✗ closed, alone", "bad"
    return (
        ("● on", "good") if any(one.is_usable for one in backends) else ("● on, 0 usable", "warn")
    )


def _hit(hit: Hit) -> str:
    if hit.backend is None:
        return f"{escaped(hit.model)} (→ 503)"
    how = f", {escaped(hit.how)}" if hit.how else ""
    return f"{escaped(hit.model)} (→ {escaped(hit.backend)}{how})"
