"""Alarm banners: cut zone, stopped server, lost link."""

from __future__ import annotations

from typing import Protocol

from nexus_core.types import PrivacyZone
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clock, count
from nexus_tui.view.frame import Frame
from nexus_tui.view.zones import Cut, ZoneWatch


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
    cut = [zone for zone in PrivacyZone if zone not in frame.zones_on]
    return lines + [_cut(zone, zones.cuts.get(zone), is_short=is_short) for zone in cut]


def _cut(zone: PrivacyZone, cut: Cut | None, *, is_short: bool) -> str:
    head = f"{zone.value.upper()} ZONE CUT"
    if cut is None:
        return f"{head}   until reopened or restarted"
    if is_short:
        counts = f"{cut.ended} stopped, {cut.refused} refused by it, {cut.elsewhere} elsewhere"
        return f"{head} {clock(cut.at, seconds=False)} {counts}"
    elsewhere = "served locally" if zone is PrivacyZone.OPEN else "served by the open zone"
    by_whom = " by you" if cut.is_ours else ""
    return (
        f"{head} {clock(cut.at)}{by_whom}: {count(cut.ended)} streams stopped, "
        f"{count(cut.refused)} refused by the cut, {count(cut.elsewhere)} {elsewhere}"
    )
