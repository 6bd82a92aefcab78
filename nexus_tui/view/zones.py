"""Zone statistics: answers and refusals of the last minutes, effects of a cut."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_core.observe.events import ZoneToggled
from nexus_core.observe.record import RequestRecord
from nexus_core.types import PrivacyZone
from nexus_tui.view.rates import RecentSum


@dataclass(slots=True)
class Cut:
    """A cut zone, and the effects of the cut."""

    at: float
    ended: int  # streams that were stopped with it
    refused: int = 0  # requests that only it would have served
    elsewhere: int = 0  # answers by the other zone


class ZoneWatch:
    """Zone statistics for the Zones tab and the banner, folded from requests and switches."""

    def __init__(self) -> None:
        self.answers = {zone: RecentSum() for zone in PrivacyZone}
        self.refused = RecentSum()  # for the privacy rule
        self.cuts: dict[PrivacyZone, Cut] = {}

    def toggle(self, event: ZoneToggled) -> None:
        """A zone was switched on or off."""
        if event.enabled:
            self.cuts.pop(event.zone, None)
        else:
            self.cuts[event.zone] = Cut(event.at, event.ended)

    def count(self, request: RequestRecord) -> None:
        """A request is over."""
        at, is_answered = request.ended_at or 0.0, (request.status or 0) < 400
        if request.zone is not None and is_answered:
            self.answers[request.zone].add(at)
        elif _dropped_by(request, "zone"):
            self.refused.add(at)
        for zone, cut in self.cuts.items():
            if at < cut.at:
                continue  # it was over by then
            if request.zone is not None and request.zone is not zone and is_answered:
                cut.elsewhere += 1
            elif _dropped_by(request, "enabled", zone):
                cut.refused += 1


def _dropped_by(request: RequestRecord, stage: str, zone: PrivacyZone | None = None) -> bool:
    """Refused, and a stage had dropped a backend (of the zone) that might have served it."""
    return (request.status, request.backend) == (503, None) and any(
        one.dropped_by == stage and zone in (None, one.zone) for one in request.considered
    )
