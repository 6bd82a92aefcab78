"""The newest requests, each with its events: a bounded fold for whoever asks about one later."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from nexus_core.events import (
    Attempt,
    AttemptFailed,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
)

CAPACITY = 1000  # requests kept


@dataclass(slots=True, eq=False)
class RecentRequest:
    """What is known of one request; it grows with its events."""

    request_id: str
    at: float  # seconds since the epoch
    received: RequestReceived | None = None  # None: refused before it was routed
    refused: RequestRefused | None = None
    decided: RouteDecided | None = None  # of the latest attempt
    failures: list[Attempt] = field(default_factory=list)
    first_byte: FirstByteReceived | None = None
    finished: RequestFinished | None = None

    @property
    def is_running(self) -> bool:
        return self.finished is None and self.refused is None

    @property
    def outcome(self) -> RequestFinished | RouteDecided | None:
        """Which event tells best where it went."""
        return self.finished or self.decided

    @property
    def status(self) -> int | None:
        """What the client got; None while that is not known."""
        told = self.refused or self.finished or self.first_byte
        return told.status if told else None

    @property
    def error(self) -> str | None:
        if self.refused is not None:
            return self.refused.code
        return self.finished.error if self.finished else None


class RecentRequests:
    """The newest requests by id; the oldest goes when there are too many."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._requests: OrderedDict[str, RecentRequest] = OrderedDict()

    def apply(self, event: NexusEvent) -> None:
        """Take in one event; those of a request that is not kept change nothing."""
        match event:
            case RequestReceived():
                self._add(RecentRequest(event.request_id, event.at, received=event))
            case RequestRefused():
                self._add(RecentRequest(event.request_id, event.at, refused=event))
            case RouteDecided():
                if request := self._requests.get(event.request_id):
                    request.decided = event
            case AttemptFailed():
                if request := self._requests.get(event.request_id):
                    request.failures.append(event.attempt)
            case FirstByteReceived():
                if request := self._requests.get(event.request_id):
                    request.first_byte = event
            case RequestFinished():
                if request := self._requests.get(event.request_id):
                    request.finished = event
            case _:
                pass  # not of a request

    def get(self, request_id: str) -> RecentRequest | None:
        """One of them; None where nothing is known of it any more."""
        return self._requests.get(request_id)

    def newest(self, limit: int, before: str | None = None) -> list[RecentRequest]:
        """So many at most, the newest first; with `before`, those that came before that one."""
        return list(islice(self._from(before), limit))

    def _from(self, before: str | None) -> Iterator[RecentRequest]:
        newest_first = iter(reversed(self._requests.values()))
        if before is None:
            return newest_first
        for request in newest_first:
            if request.request_id == before:
                break
        return newest_first

    def _add(self, request: RecentRequest) -> None:
        self._requests[request.request_id] = request
        if len(self._requests) > self._capacity:
            self._requests.popitem(last=False)
