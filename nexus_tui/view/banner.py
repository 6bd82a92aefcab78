"""Alarm banners: cut zone, stopped server, lost link."""

from __future__ import annotations

from typing import Protocol

from nexus_core.types import PrivacyZone
from nexus_tui.sources.base import EventSource
from nexus_tui.text.escape import visible
from nexus_tui.text.numbers import clock, count
from nexus_tui.view.model import ViewModel


class Mortal(Protocol):
    """Something that may have crashed."""

    @property
    def problem(self) -> str | None: ...


def alarms(
    source: EventSource, view: ViewModel, server: Mortal | None, *, is_short: bool
) -> list[str]:
    """Alarm banners, one line each, the worst first."""
    lines: list[str] = []
    if server is not None and server.problem is not None:
        lines.append(f"SERVER STOPPED: {visible(server.problem)}   R restarts it")
    if source.status == "stale":
        lines.append("LINK LOST: values are stale, changes are disabled")
    if source.status == "closed":
        lines.append("LINK CLOSED: values are stale")
    if source.notice:
        lines.append(visible(source.notice))
    cut = [zone for zone in PrivacyZone if not source.is_zone_enabled(zone)]
    return lines + [_cut(view, zone, is_short=is_short) for zone in cut]


def _cut(view: ViewModel, zone: PrivacyZone, *, is_short: bool) -> str:
    head = f"{zone.value.upper()} ZONE CUT"
    cut = view.zones.cuts.get(zone)
    if cut is None:
        return f"{head}   until reopened or restarted"
    if is_short:
        counts = f"{cut.ended} stopped, {cut.refused} refused, {cut.elsewhere} elsewhere"
        return f"{head} {clock(cut.at, seconds=False)} {counts}"
    elsewhere = "served locally" if zone is PrivacyZone.OPEN else "served by the open zone"
    by_whom = " by you" if cut.is_ours else ""
    return (
        f"{head} {clock(cut.at)}{by_whom}: {count(cut.ended)} streams stopped, "
        f"{count(cut.refused)} refused since, {count(cut.elsewhere)} {elsewhere}"
    )
