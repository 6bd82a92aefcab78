"""What a cut of a zone does while it lasts, counted for the record of its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nexus_core.observe.bus import EventBus
from nexus_core.observe.phases import FINISHED, Happened, Reached
from nexus_core.observe.record import RequestRecord
from nexus_core.routing.stages import Stage
from nexus_core.types import PrivacyZone


class Cut:
    """A cut zone; it listens to the bus, so that requests cost nothing while no zone is cut."""

    def __init__(self, zone: PrivacyZone, at: float, ended: int) -> None:
        """`ended` requests were ended with it, `at` seconds since the epoch."""
        self.zone = zone
        self.at = at
        self.ended = ended
        self.refused = 0  # requests that only it would have served
        self.elsewhere = 0  # answers by the other zone

    def push(self, happened: Sequence[Happened]) -> None:
        """Count requests that are over."""
        for one in happened:
            if isinstance(one, Reached) and one.phase is FINISHED:
                self._count(one.record)

    def _count(self, record: RequestRecord) -> None:
        status, served_by = record.status or 0, record.zone
        if record.backend is None:
            self.refused += status == 503 and any(
                one.dropped_by == Stage.ENABLED and one.zone is self.zone
                for one in record.considered
            )
        elif served_by is not None and served_by is not self.zone and status < 400:
            self.elsewhere += 1

    def told(self, now: float) -> str:
        """What it did, in one line."""
        effects = cut_effects(self.ended, self.refused, self.elsewhere)
        return f"cut for {_as_duration(now - self.at)}: {effects}"


def cut_effects(ended: int, refused: int, elsewhere: int) -> str:
    """What a cut of a zone did, in the same words everywhere."""
    requests = "request" if ended == 1 else "requests"
    return (
        f"{ended:,} {requests} ended, {refused:,} refused by the cut, "
        f"{elsewhere:,} answered elsewhere"
    )


class Cuts:
    """The zones that are cut now."""

    def __init__(self, bus: EventBus, now: Callable[[], float]) -> None:
        self._bus = bus
        self._now = now
        self._cuts: dict[PrivacyZone, Cut] = {}

    def begin(self, zone: PrivacyZone, ended: int) -> None:
        """Count from now on; a zone that is cut again goes on with its numbers."""
        cut = self._cuts.get(zone)
        if cut is not None:
            cut.ended += ended
            return
        cut = self._cuts[zone] = Cut(zone, self._now(), ended)
        self._bus.tell(cut)

    def end(self, zone: PrivacyZone) -> Cut | None:
        """What the cut did until now; None where the zone was not cut here."""
        cut = self._cuts.pop(zone, None)
        if cut is not None:
            self._bus.unsubscribe(cut)
        return cut


def _as_duration(seconds: float) -> str:
    """`42 s`, `4 min 12 s`, `3 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
