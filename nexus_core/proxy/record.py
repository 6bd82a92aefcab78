"""What has happened to one request so far, and the events and the log line that tell of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nexus_core.events import (
    Attempt,
    AttemptFailed,
    EventBus,
    FirstByteReceived,
    RequestFinished,
    RequestReceived,
    RouteDecided,
    TokenUsage,
)
from nexus_core.proxy.exchange import Failure
from nexus_core.proxy.reply import ProxyRequest, Served
from nexus_core.routing.router import RouteDecision
from nexus_core.upstream.base import Headers

log = logging.getLogger(__name__)

CLIENT_LEFT = 499  # as nginx writes it in its log; nobody is there to receive it


@dataclass(slots=True)
class RequestRecord:
    """One request's life; every change worth knowing is published as it happens."""

    request: ProxyRequest
    bus: EventBus = field(repr=False)
    now: Callable[[], float] = field(repr=False)
    served: Served | None = None
    decision: RouteDecision | None = None
    status: int = CLIENT_LEFT
    error: str | None = None
    failed: bool = False
    client_left: bool = False
    ended_with_zone: bool = False  # by the operator
    first_byte_ms: float | None = None
    upstream_seconds: float = 0.0  # spent waiting for backends up to the first byte
    usage: TokenUsage | None = None
    headers: Headers = ()
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """The client's answer has begun: nothing fails over from here on."""
        return self.first_byte_ms is not None

    def receive(self) -> None:
        """The request is valid and in."""
        request = self.request
        self.bus.publish(
            RequestReceived(
                at=self.now(),
                request_id=request.id,
                endpoint=request.endpoint,
                model=request.openai.model,
                is_streaming=request.openai.is_streaming,
                client=request.client,
                headers=request.headers,
                body_bytes=len(request.openai.body),
            )
        )

    def route(self, served: Served, decision: RouteDecision, attempt: int) -> None:
        """A backend was chosen."""
        self.served, self.decision = served, decision
        self.bus.publish(
            RouteDecided(
                at=self.now(),
                request_id=self.request.id,
                backend=served.backend.name,
                backend_type=served.backend.type,
                zone=served.backend.zone,
                model=served.model,
                reason=served.reason,
                attempt=attempt,
                resolved=self.request.need.resolved,
                considered=decision.considered,
            )
        )

    def fail_attempt(self, backend: str, failure: Failure, seconds: float) -> None:
        """A backend failed before the client's answer began."""
        attempt = Attempt(
            backend=backend,
            error=failure.why,
            status=failure.status,
            elapsed_ms=seconds * 1000,
        )
        self.attempts.append(attempt)
        self.bus.publish(AttemptFailed(at=self.now(), request_id=self.request.id, attempt=attempt))

    def begin(self, backend: str, status: int, headers: Headers) -> None:
        """The client's answer begins."""
        self.status, self.headers = status, headers
        self.first_byte_ms = self._elapsed_ms()
        self.bus.publish(
            FirstByteReceived(
                at=self.now(),
                request_id=self.request.id,
                backend=backend,
                status=status,
                first_byte_ms=self.first_byte_ms,
                headers=headers,
            )
        )

    def finish(self) -> None:
        """The request is over."""
        total_ms = self._elapsed_ms()
        served, usage = self.served, self.usage
        overhead_ms = None
        if self.first_byte_ms is not None:
            overhead_ms = max(0.0, self.first_byte_ms - self.upstream_seconds * 1000)
        event = RequestFinished(
            at=self.now(),
            request_id=self.request.id,
            backend=served.backend.name if served else None,
            backend_type=served.backend.type if served else None,
            zone=served.backend.zone if served else None,
            reason=served.reason if served else None,
            model=served.model if served else self.request.openai.model,
            status=self.status,
            failed=self.failed,
            client_left=self.client_left,
            error=self.error,
            total_ms=total_ms,
            first_byte_ms=self.first_byte_ms,
            overhead_ms=overhead_ms,
            usage=usage,
            attempts=tuple(self.attempts),
            considered=self.decision.considered if self.decision else (),
            headers=self.headers,
        )
        self.bus.publish(event)
        _log(event)

    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self.request.received) * 1000


def _log(event: RequestFinished) -> None:
    usage = event.usage
    tokens = f"{usage.prompt_tokens}+{usage.completion_tokens}" if usage else "-"
    tries = ",".join(f"{attempt.backend}:{attempt.status or '-'}" for attempt in event.attempts)
    log.log(
        logging.WARNING if event.failed else logging.INFO,
        "finished request=%s model=%s backend=%s zone=%s reason=%s status=%s tokens=%s "
        "total_ms=%.1f first_byte_ms=%s failed_attempts=%s error=%s",
        event.request_id,
        event.model,
        event.backend or "-",
        event.zone or "-",
        event.reason or "-",
        event.status,
        tokens,
        event.total_ms,
        "-" if event.first_byte_ms is None else f"{event.first_byte_ms:.1f}",
        tries or "-",
        event.error or "-",
    )
