"""What is wrong for everybody to see: a cut zone, a dead server, a lost link."""

from __future__ import annotations

from typing import Protocol

from nexus_core.types import PrivacyZone
from nexus_tui.text.escape import visible
from nexus_tui.text.numbers import clock, count
from nexus_tui.view.frame import Frame
from nexus_tui.view.zones import Cut, ZoneWatch


class Mortal(Protocol):
    """Something that may have died."""

    @property
    def problem(self) -> str | None: ...


def alarms(frame: Frame, zones: ZoneWatch, server: Mortal | None, *, is_short: bool) -> list[str]:
    """One line each, the worst first."""
    lines: list[str] = []
    if server is not None and server.problem is not None:
        lines.append(f"THE SERVER HAS STOPPED: {visible(server.problem)}   R starts it again")
    if frame.status == "stale":
        lines.append("LINK LOST: values are of before that, and nothing can be changed")
    if frame.status == "closed":
        lines.append("THE LINK IS CLOSED: values are of before that")
    if frame.notice:
        lines.append(visible(frame.notice))
    cut = [zone for zone in PrivacyZone if zone not in frame.zones_on]
    return lines + [_cut(zone, zones.cuts.get(zone), is_short=is_short) for zone in cut]


def _cut(zone: PrivacyZone, cut: Cut | None, *, is_short: bool) -> str:
    head = f"{zone.value.upper()} ZONE CUT"
    if cut is None:
        return f"{head}   it holds until it is opened again or the server restarts"
    if is_short:
        counts = f"{cut.ended} stopped, {cut.refused} refused, {cut.elsewhere} elsewhere"
        return f"{head} {clock(cut.at, seconds=False)} {counts}"
    elsewhere = "served locally" if zone is PrivacyZone.OPEN else "served by the open zone"
    by_whom = " by you" if cut.is_ours else ""
    return (
        f"{head} {clock(cut.at)}{by_whom}: {count(cut.ended)} streams stopped, "
        f"{count(cut.refused)} refused since, {count(cut.elsewhere)} {elsewhere}"
    )
