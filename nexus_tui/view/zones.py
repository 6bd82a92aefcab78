"""Effects of cuts: what this screen saw of the requests since."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_core.observe.events import ZoneToggled
from nexus_core.observe.record import RequestRecord
from nexus_core.types import PrivacyZone


@dataclass(slots=True)
class Cut:
    """A cut of a zone, and its effects."""

    at: float
    ended: int  # requests that were ended with it
    refused: int = 0  # requests that only it would have served
    elsewhere: int = 0  # answers by the other zone


class ZoneWatch:
    """Cuts for the Zones tab and the banner, folded from requests and switches."""

    def __init__(self) -> None:
        self.cuts: dict[PrivacyZone, Cut] = {}

    def toggle(self, event: ZoneToggled) -> None:
        """A zone was switched on or off; of a fleet each replica tells of it."""
        if event.enabled:
            self.cuts.pop(event.zone, None)
        elif (cut := self.cuts.get(event.zone)) is not None:
            cut.ended += event.ended
        else:
            self.cuts[event.zone] = Cut(event.at, event.ended)

    def count(self, request: RequestRecord) -> None:
        """A request is over."""
        at, is_answered = request.ended_at or 0.0, (request.status or 0) < 400
        for zone, cut in self.cuts.items():
            if at < cut.at:
                continue  # it was over by then
            if request.zone is not None and request.zone is not zone and is_answered:
                cut.elsewhere += 1
            elif _refused_by_cut(request, zone):
                cut.refused += 1


def _refused_by_cut(request: RequestRecord, zone: PrivacyZone) -> bool:
    """No backend was selected, and one of the zone that might have served it was off."""
    return (request.status, request.backend) == (503, None) and any(
        (one.dropped_by, one.zone) == ("enabled", zone) for one in request.considered
    )
