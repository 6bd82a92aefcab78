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
from nexus_core.observe.outcome import Fact, Known, RequestOutcome
from nexus_core.types import PrivacyZone, RouteReason

Headers = tuple[tuple[str, str], ...]

CAPACITY = 1000  # requests kept
SCREEN_CAPACITY = 10_000  # where a screen lists them


@dataclass(slots=True, eq=False)
class RecentRequest:
    """What is known of one request; it grows with its events until it has an outcome."""

    request_id: str
    at: float  # when it came, in seconds since the epoch
    received: RequestReceived | None = None  # None: refused before it was routed
    refused: RequestRefused | None = None
    resolved: tuple[str, ...] = ()  # the asked model, then each alias it went through
    # Of the latest attempt, and of the answer that began; None once it is over, which tells all.
    decided: RouteDecided | None = None
    first_byte: FirstByteReceived | None = None
    failures: tuple[Attempt, ...] = ()
    outcome: RequestOutcome | None = None
    seq: int = 0  # ascending in order of arrival, without gaps
    version: int = 0  # another one after every event, so that what was drawn of it can be kept

    def value(self, fact: Fact) -> object:
        """What is known of it now; `fact.unknown` where that is nothing yet."""
        match fact.known:
            case Known.ASKED:
                name = fact.path.removeprefix("received.")
                return fact.unknown if self.received is None else getattr(self.received, name)
            case Known.EARLY:
                return getattr(self, fact.name)
            case Known.END:
                return fact.unknown if self.outcome is None else fact.of(self.outcome)
            case _:
                assert_never(fact.known)

    @property
    def is_live(self) -> bool:
        return self.outcome is None and self.refused is None

    @property
    def path(self) -> str | None:
        """Of a call that was refused before it was routed."""
        return self.refused.path if self.refused else None

    @property
    def asked_model(self) -> str:
        return self.received.model if self.received else ""

    @property
    def model(self) -> str:
        """`gpt-4 → llama3:70b` where the name that was asked for is not the one that answered."""
        asked = self.asked_model
        final = self.outcome or self.decided
        if final is None or final.model == asked:
            return asked
        return f"{asked} → {final.model}"

    @property
    def served_model(self) -> str | None:
        """The backend's own name of the model; None where no backend was selected."""
        final = self.outcome or self.decided
        return final.model if final is not None and final.backend is not None else None

    @property
    def backend(self) -> str | None:
        if self.outcome is not None:
            return self.outcome.backend
        return self.decided.backend if self.decided else None

    @property
    def zone(self) -> PrivacyZone | None:
        if self.outcome is not None:
            return self.outcome.zone
        return self.decided.zone if self.decided else None

    @property
    def reason(self) -> RouteReason | None:
        if self.outcome is not None:
            return self.outcome.reason
        return self.decided.reason if self.decided else None

    @property
    def status(self) -> int | None:
        """What the client got; None while it is unknown."""
        final = self.refused or self.outcome or self.first_byte
        return final.status if final else None

    @property
    def failed(self) -> bool:
        """An error for the client, or an answer that broke off."""
        if self.outcome is not None and (self.outcome.failed or self.outcome.error is not None):
            return not self.outcome.client_left
        return (self.status or 0) >= 400 and not self.client_left

    @property
    def client_left(self) -> bool:
        return self.outcome is not None and self.outcome.client_left

    @property
    def error(self) -> str | None:
        if self.refused is not None:
            return self.refused.code
        return self.outcome.error if self.outcome else None

    @property
    def first_byte_ms(self) -> float | None:
        if self.outcome is not None:
            return self.outcome.first_byte_ms
        return self.first_byte.first_byte_ms if self.first_byte else None

    @property
    def total_ms(self) -> float | None:
        return self.outcome.total_ms if self.outcome else None

    @property
    def usage(self) -> TokenUsage | None:
        return self.outcome.usage if self.outcome else None

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost; None where it is unknown yet or at all, and for a local answer."""
        return self.outcome.cost_usd if self.outcome else None

    @property
    def is_estimated(self) -> bool:
        """Its tokens and its cost are Nexus's own count, and no report of the backend."""
        return self.outcome is not None and self.outcome.is_estimated

    @property
    def is_unpriced(self) -> bool:
        """It cost something, and nobody knows how much."""
        return self.outcome is not None and self.outcome.is_unpriced

    @property
    def considered(self) -> tuple[Considered, ...]:
        final = self.outcome or self.decided
        return final.considered if final else ()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The failed ones, in order."""
        return self.outcome.attempts if self.outcome else self.failures

    @property
    def request_headers(self) -> Headers:
        return self.received.headers if self.received else ()

    @property
    def response_headers(self) -> Headers:
        if self.outcome is not None:
            return self.outcome.headers
        return self.first_byte.headers if self.first_byte else ()


class RecentRequests:
    """The newest requests by id; the oldest goes when there are too many."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._next_seq = 0
        self._requests: OrderedDict[str, RecentRequest] = OrderedDict()

    def __len__(self) -> int:
        return len(self._requests)

    def keep(self, capacity: int) -> None:
        """Keep at least so many from now on."""
        self.capacity = max(self.capacity, capacity)

    def clear(self) -> None:
        """Forget all of them; the order of arrival goes on."""
        self._requests.clear()

    def apply(self, event: NexusEvent) -> None:
        """Take in one event; those of a request that is not kept change nothing."""
        match event:
            case RequestReceived():
                self._add(RecentRequest(event.request_id, event.at, received=event))
                return
            case RequestRefused():
                self._add(RecentRequest(event.request_id, event.at, refused=event))
                return
            case RouteDecided() | AttemptFailed() | FirstByteReceived() | RequestFinished():
                request = self._requests.get(event.request_id)
            case _:
                return  # not of a request
        if request is None:
            return
        if request.received is not None and type(event) is RequestFinished:
            event = RequestOutcome.of(event, request.received)  # as another Nexus tells of it
        request.version += 1
        match event:
            case RouteDecided():
                request.decided, request.resolved = event, event.resolved
            case FirstByteReceived():
                request.first_byte = event
            case RequestOutcome():
                request.outcome, request.decided, request.first_byte = event, None, None
            case RequestFinished():
                pass  # of no request that was received: there is none such
            case AttemptFailed():
                request.failures = (*request.failures, event.attempt)
            case _:
                assert_never(event)

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
        request.seq = self._next_seq
        self._next_seq += 1
        self._requests[request.request_id] = request
        if len(self._requests) > self.capacity:
            self._requests.popitem(last=False)
