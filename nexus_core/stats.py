"""Fold events into numbers: the one source for /v1/stats and the dashboard."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from nexus_core.events import (
    AttemptFailed,
    BackendHealthChanged,
    BackendProbed,
    BackendToggled,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    ZoneToggled,
)
from nexus_core.histogram import Histogram
from nexus_core.types import RouteReason


@dataclass(slots=True)
class BackendStats:
    """One backend's numbers since the start."""

    answers: int = 0  # requests whose answer came from it
    failures: int = 0  # attempts that failed, and answers that broke off
    prompt_tokens: int = 0  # as the backend reported them
    completion_tokens: int = 0
    first_byte: Histogram = field(default_factory=Histogram)
    total: Histogram = field(default_factory=Histogram)


class Stats:
    """Everything counted since the start; read it freely, change it only through `apply`."""

    def __init__(self) -> None:
        self.requests = 0  # received and valid
        self.in_flight = 0
        self.finished = 0
        self.failed = 0  # by Nexus or a backend
        self.client_left = 0
        self.refused = 0  # turned away before routing
        self.failovers = 0  # attempts after the first
        self.local_answers = 0
        self.cloud_answers = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.reasons: Counter[RouteReason] = Counter()
        self.statuses: Counter[int] = Counter()
        self.first_byte = Histogram()
        self.total = Histogram()
        self.backends: dict[str, BackendStats] = {}

    def backend(self, name: str) -> BackendStats:
        """The numbers of one backend; zeros if it was never used."""
        return self.backends.setdefault(name, BackendStats())

    def apply(self, event: NexusEvent) -> None:
        """Count one event."""
        match event:
            case RequestReceived():
                self.requests += 1
                self.in_flight += 1
            case RouteDecided():
                self.failovers += event.attempt > 1
            case AttemptFailed():
                self.backend(event.attempt.backend).failures += 1
            case FirstByteReceived():
                self.first_byte.add(event.first_byte_ms)
                self.backend(event.backend).first_byte.add(event.first_byte_ms)
            case RequestFinished():
                self._finish(event)
            case RequestRefused():
                self.refused += 1
                self.statuses[event.status] += 1
            case BackendHealthChanged() | BackendProbed() | BackendToggled() | ZoneToggled():
                pass  # state, not a count: the registry tells it

    def _finish(self, event: RequestFinished) -> None:
        self.in_flight -= 1
        self.finished += 1
        self.failed += event.failed
        self.client_left += event.client_left
        self.statuses[event.status] += 1
        self.total.add(event.total_ms)
        if event.reason is not None:
            self.reasons[event.reason] += 1
        if event.backend is None or event.backend_type is None:
            return
        backend = self.backend(event.backend)
        backend.answers += 1
        backend.total.add(event.total_ms)
        # What failed before its first byte was counted as an attempt already.
        backend.failures += event.failed and event.first_byte_ms is not None
        if event.backend_type.is_cloud:
            self.cloud_answers += 1
        else:
            self.local_answers += 1
        if event.usage is not None:
            self.prompt_tokens += event.usage.prompt_tokens
            self.completion_tokens += event.usage.completion_tokens
            backend.prompt_tokens += event.usage.prompt_tokens
            backend.completion_tokens += event.usage.completion_tokens
