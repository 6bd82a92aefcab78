"""Recent requests: a bounded store of the newest requests with their events."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import assert_never

from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    Considered,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    TokenUsage,
)
from nexus_core.types import PrivacyZone, RouteReason

Headers = tuple[tuple[str, str], ...]

CAPACITY = 1000  # requests kept


@dataclass(slots=True, eq=False)
class RecentRequest:
    """What is known of one request; it grows with its events."""

    request_id: str
    at: float  # seconds since the epoch
    received: RequestReceived | None = None  # None: refused before it was routed
    refused: RequestRefused | None = None
    resolved: tuple[str, ...] = ()  # the asked model, then each alias it went through
    # Of the latest attempt, and of the answer that began; None once it is over, which tells all.
    decided: RouteDecided | None = None
    first_byte: FirstByteReceived | None = None
    failures: tuple[Attempt, ...] = ()
    finished: RequestFinished | None = None

    def add(
        self, event: RouteDecided | AttemptFailed | FirstByteReceived | RequestFinished
    ) -> None:
        """Take in the next event of this request."""
        match event:
            case RouteDecided():
                self.decided, self.resolved = event, event.resolved
            case FirstByteReceived():
                self.first_byte = event
            case RequestFinished():
                self.finished, self.decided, self.first_byte = event, None, None
            case AttemptFailed():
                self.failures = (*self.failures, event.attempt)
            case _:
                assert_never(event)

    @property
    def is_live(self) -> bool:
        return self.finished is None and self.refused is None

    @property
    def asked_model(self) -> str:
        return self.received.model if self.received else ""

    @property
    def model(self) -> str:
        """`gpt-4 → llama3:70b` where the name that was asked for is not the one that answered."""
        asked = self.asked_model
        final = self.finished or self.decided
        if final is None or final.model == asked:
            return asked
        return f"{asked} → {final.model}"

    @property
    def served_model(self) -> str | None:
        """The backend's own name of the model; None where no backend was chosen."""
        final = self.finished or self.decided
        return final.model if final is not None and final.backend is not None else None

    @property
    def backend(self) -> str | None:
        if self.finished is not None:
            return self.finished.backend
        return self.decided.backend if self.decided else None

    @property
    def zone(self) -> PrivacyZone | None:
        if self.finished is not None:
            return self.finished.zone
        return self.decided.zone if self.decided else None

    @property
    def reason(self) -> RouteReason | None:
        if self.finished is not None:
            return self.finished.reason
        return self.decided.reason if self.decided else None

    @property
    def status(self) -> int | None:
        """What the client got; None while it is unknown."""
        final = self.refused or self.finished or self.first_byte
        return final.status if final else None

    @property
    def failed(self) -> bool:
        """An error for the client, or an answer that broke off."""
        if self.finished is not None and (self.finished.failed or self.finished.error is not None):
            return not self.finished.client_left
        return (self.status or 0) >= 400 and not self.client_left

    @property
    def client_left(self) -> bool:
        return self.finished is not None and self.finished.client_left

    @property
    def error(self) -> str | None:
        if self.refused is not None:
            return self.refused.code
        return self.finished.error if self.finished else None

    @property
    def first_byte_ms(self) -> float | None:
        if self.finished is not None:
            return self.finished.first_byte_ms
        return self.first_byte.first_byte_ms if self.first_byte else None

    @property
    def total_ms(self) -> float | None:
        return self.finished.total_ms if self.finished else None

    @property
    def usage(self) -> TokenUsage | None:
        return self.finished.usage if self.finished else None

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost; None where it is unknown yet or at all, and for a local answer."""
        cost = self.finished.cost if self.finished else None
        return cost.usd if cost else None

    @property
    def is_estimated(self) -> bool:
        """Its tokens and its cost are Nexus's own count, and no report of the backend."""
        return self.finished is not None and self.finished.is_estimated

    @property
    def is_unpriced(self) -> bool:
        """It cost something, and nobody knows how much."""
        return self.finished is not None and self.finished.is_unpriced

    @property
    def considered(self) -> tuple[Considered, ...]:
        final = self.finished or self.decided
        return final.considered if final else ()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The failed ones, in order."""
        return self.finished.attempts if self.finished else self.failures

    @property
    def request_headers(self) -> Headers:
        return self.received.headers if self.received else ()

    @property
    def response_headers(self) -> Headers:
        if self.finished is not None:
            return self.finished.headers
        return self.first_byte.headers if self.first_byte else ()


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
            case RouteDecided() | AttemptFailed() | FirstByteReceived() | RequestFinished():
                if request := self._requests.get(event.request_id):
                    request.add(event)
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
