"""The requests of several replicas as one list: each once, with its replica's name."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from msgspec.structs import replace

from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import SCREEN_CAPACITY, RecentRequests
from nexus_tui.sources.changes import ChangedRequests

LOST = "replica_lost"  # the error code of a request whose replica went away

_by_time = attrgetter("at")
# A copy has its own number and version: they order and tell what this list shows.
_COPIED = tuple(
    name for name in RequestRecord.__struct_fields__ if name not in ("seq", "version", "replica")
)


class FleetRequests:
    """Copies of the replicas' records, which stay theirs."""

    def __init__(self) -> None:
        self.recent = RecentRequests(SCREEN_CAPACITY)
        self._changes = ChangedRequests(self.recent)

    def take(self, changed: Iterable[tuple[str, RequestRecord]]) -> None:
        """Take in what came or changed at the replicas; what is new goes by the time it came."""
        new: dict[str, RequestRecord] = {}
        for replica, record in changed:
            copy = self.recent.get(record.request_id) or new.get(record.request_id)
            if copy is None:
                new[record.request_id] = replace(record, replica=replica)
            elif copy.replica == replica:
                for name in _COPIED:
                    setattr(copy, name, getattr(record, name))
                copy.version += 1
        for copy in sorted(new.values(), key=_by_time):
            self.recent.add(copy)

    def changed(self) -> list[RequestRecord]:
        """Those that came or changed since the last call, in order of arrival."""
        return self._changes.take()

    def lose(self, replica: str, at: float) -> None:
        """A replica went away: what became of its requests under way is not known."""
        for request_id in self.recent.ids:
            record = self.recent.get(request_id)
            if record is not None and record.replica == replica and record.is_live:
                record.ended_at, record.failed = at, True
                record.error_code = LOST
                record.error = f"{replica} went away; what became of it is not known"
                record.version += 1
