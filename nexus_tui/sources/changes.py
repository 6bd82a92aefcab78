"""Which of the kept requests are new or have changed since the last look."""

from __future__ import annotations

from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import RecentRequests


class ChangedRequests:
    """Looks at the records themselves, so that a request costs nothing until somebody looks."""

    def __init__(self, requests: RecentRequests) -> None:
        self._requests = requests
        self._newest_seq = -1  # of what was seen
        self._live: list[tuple[RequestRecord, int]] = []  # seen and not over, with their versions

    def take(self) -> list[RequestRecord]:
        """In order of arrival; each one for the last time when it is over."""
        changed: list[RequestRecord] = []
        live: list[tuple[RequestRecord, int]] = []
        for record, version in self._live:
            if record.version != version:
                changed.append(record)
            if record.is_live:
                live.append((record, record.version))
        new = self._requests.since(self._newest_seq)
        if new:
            self._newest_seq = new[-1].seq
            changed += new
            live += [
                (record, record.version)
                for record in new
                if record.ended_at is None and record.is_live
            ]
        self._live = live
        return changed
