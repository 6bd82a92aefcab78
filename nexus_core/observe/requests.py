"""Recent requests: a bounded store of the newest requests' records."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from nexus_core.observe.events import (
    AttemptFailed,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
)
from nexus_core.observe.phases import RECEIVED, Reached, record_of, take
from nexus_core.observe.record import RequestRecord

CAPACITY = 1000  # requests kept
SCREEN_CAPACITY = 10_000  # where a screen lists them


class RecentRequests:
    """The newest requests by id; the oldest goes when there are too many."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._next_seq = 0
        # An OrderedDict would do, with an object of its own for each.
        self._in_order: deque[RequestRecord] = deque()  # the oldest first
        self._by_id: dict[str, RequestRecord] = {}

    def __len__(self) -> int:
        return len(self._in_order)

    def keep(self, capacity: int) -> None:
        """Keep at least so many from now on."""
        self.capacity = max(self.capacity, capacity)

    def clear(self) -> None:
        """Forget all of them; the order of arrival goes on."""
        self._in_order.clear()
        self._by_id.clear()

    def take_in(self, reached: Sequence[Reached]) -> None:
        """Keep those that are received; a record that is kept grows by itself."""
        for one in reached:
            if one.phase is RECEIVED:
                self.add(one.record)

    def add(self, record: RequestRecord) -> None:
        """Keep one more request; the oldest goes when there are too many."""
        record.seq = self._next_seq
        self._next_seq += 1
        in_order, by_id = self._in_order, self._by_id
        in_order.append(record)
        by_id[record.request_id] = record
        if len(in_order) > self.capacity:
            oldest = in_order.popleft()
            if by_id[oldest.request_id] is oldest:  # an id of another Nexus may have come again
                del by_id[oldest.request_id]

    def apply(self, event: NexusEvent) -> None:
        """Take in an event that was made elsewhere; one of a request not kept changes nothing."""
        match event:
            case RequestReceived() | RequestRefused():
                self.add(record_of(event))
            case RouteDecided() | AttemptFailed() | FirstByteReceived() | RequestFinished():
                record = self._by_id.get(event.request_id)
                if record is not None:
                    take(record, event)
            case _:
                pass  # not of a request

    def get(self, request_id: str) -> RequestRecord | None:
        """One of them; None where nothing is known of it any more."""
        return self._by_id.get(request_id)

    def ids_like(self, part: str) -> list[str]:
        """The ids that begin or end with it, newest first: lists show the end of one only."""
        return [one for one in self.ids if one.startswith(part) or one.endswith(part)]

    @property
    def ids(self) -> list[str]:
        """Of all of them, newest first."""
        return [record.request_id for record in reversed(self._in_order)]

    def newest(self, limit: int, before: str | None = None) -> list[RequestRecord]:
        """So many at most, the newest first; with `before`, those that came before that one."""
        return list(islice(self._from(before), limit))

    def since(self, seq: int) -> list[RequestRecord]:
        """Those that came after the one of this number and are still here, oldest first."""
        newest_first = reversed(self._in_order)
        return [*islice(newest_first, self._next_seq - 1 - seq)][::-1]

    def _from(self, before: str | None) -> Iterator[RequestRecord]:
        newest_first = reversed(self._in_order)
        if before is None:
            return newest_first
        for request in newest_first:
            if request.request_id == before:
                break
        return newest_first
