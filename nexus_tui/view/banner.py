"""Alarm banners: cut zone, stopped server, lost link."""

from __future__ import annotations

from typing import Protocol

from nexus_core.control.cuts import cut_effects
from nexus_core.types import PrivacyZone
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clock
from nexus_tui.view.actors import by_whom, last_cut
from nexus_tui.view.frame import Frame
from nexus_tui.view.replicas import is_cut_in_part, reach_words, replica_alarms
from nexus_tui.view.zones import Cut, ZoneWatch

_LONG_SECONDS = 60.0  # that rows may wait for PostgreSQL before anybody is told


class Mortal(Protocol):
    """Something that may have crashed."""

    @property
    def problem(self) -> str | None: ...


def alarms(frame: Frame, zones: ZoneWatch, server: Mortal | None, *, is_short: bool) -> list[str]:
    """Alarm banners, one line each, the worst first."""
    lines: list[str] = []
    if server is not None and server.problem is not None:
        lines.append(f"SERVER STOPPED: {escaped(server.problem)}   R restarts it")
    if frame.status == "stale":
        lines.append("LINK LOST: values are stale, changes are disabled")
    if frame.status == "closed":
        lines.append("LINK CLOSED: values are stale")
    if frame.notice:
        lines.append(escaped(frame.notice))
    if frame.fleet is not None:
        lines += replica_alarms(frame.fleet, is_short=is_short)
        if is_cut_in_part(frame.fleet, frame.now):
            lines.append(f"OPEN ZONE {reach_words(frame.fleet, frame.now)}")
    outbox = None if frame.costs is None else frame.costs.outbox
    if outbox is not None and outbox.oldest is not None:
        lines += _late_rows(outbox.rows, outbox.oldest, outbox.problem, frame.now)
    cut = [zone for zone in PrivacyZone if zone not in frame.zones_on]
    return lines + [_cut(zone, frame, zones.cuts.get(zone), is_short=is_short) for zone in cut]


def _late_rows(rows: int, oldest: float, problem: str | None, now: float) -> list[str]:
    """That rows wait for PostgreSQL, where they do so for long."""
    if now - oldest < _LONG_SECONDS:
        return []
    why = "for PostgreSQL" if problem is None else f"for {escaped(problem)}"
    said = "1 row waits" if rows == 1 else f"{rows:,} rows wait"
    return [f"LEDGER: {said} since {clock(oldest)} {why}"]


def _cut(zone: PrivacyZone, frame: Frame, cut: Cut | None, *, is_short: bool) -> str:
    head = f"{zone.value.upper()} ZONE CUT"
    acted = last_cut(frame.actions, zone)
    by = by_whom(acted, frame.session)
    if cut is None:
        since = "" if acted is None else f" {clock(acted.at)}{by}"
        return f"{head}{since}   until reopened or restarted"
    if is_short:
        counts = f"{cut.ended} ended, {cut.refused} refused, {cut.elsewhere} elsewhere"
        return f"{head} {clock(cut.at, seconds=False)} {counts}"
    effects = cut_effects(cut.ended, cut.refused, cut.elsewhere)
    return f"{head} {clock(cut.at)}{by}: {effects}"
