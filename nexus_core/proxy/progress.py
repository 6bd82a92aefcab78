"""What has happened to one request so far, and the events and the log line that tell of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.accounting import CostTracker
from nexus_core.money.ledger_schema import LedgerRow
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    BudgetStatusChanged,
    FirstByteReceived,
    RequestFinished,
    RequestReceived,
    RouteDecided,
)
from nexus_core.proxy.charge import NOTHING, Account, Charge, ReportedUsage
from nexus_core.proxy.exchange import Answer, Failure
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.router import RouteDecision
from nexus_core.types import nano_usd
from nexus_core.upstream.base import Headers

log = logging.getLogger(__name__)

CLIENT_LEFT = 499  # as nginx writes it in its log; nobody is there to receive it


@dataclass(slots=True)
class RequestRecord:
    """One request's life; every change worth knowing is published as it happens."""

    request: ProxyRequest
    bus: EventBus = field(repr=False)
    cost_tracker: CostTracker = field(repr=False)
    now: Callable[[], float] = field(repr=False)
    decision: RouteDecision | None = None
    status: int = CLIENT_LEFT
    error: str | None = None
    failed: bool = False
    client_left: bool = False
    is_at_backend: bool = False  # an exchange is under way, not a wait for a slot
    deadline: asyncio.Timeout | None = field(default=None, repr=False)
    ended_with: str | None = None  # for people: what the operator switched off under it
    first_byte_ms: float | None = None
    upstream_seconds: float = 0.0  # spent waiting for backends up to the first byte
    charge: Charge | None = None  # of the attempt under way, or of the one that answered
    answered: ReportedUsage | None = None  # what came of that attempt, in tokens
    headers: Headers = ()
    attempts: list[Attempt] = field(default_factory=list)
    chosen: SelectedRoute | None = None  # last, as it was then

    @property
    def selected(self) -> SelectedRoute | None:
        """Who was chosen last and why, with Nexus's own share of the time up to now."""
        chosen = self.chosen
        if chosen is None:
            return None
        status = self.cost_tracker.budget.status(self.request.client, self.now())
        overhead_ms = self._overhead_ms(self._elapsed_ms())
        return replace(chosen, overhead_ms=overhead_ms, budget=status)

    @property
    def has_run_out(self) -> bool:
        """Its time is over, and not because an operator ended it."""
        return self.ended_with is None and self.deadline is not None and self.deadline.expired()

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
                request_id=request.envelope.id,
                endpoint=request.envelope.path,
                model=request.envelope.model,
                is_streaming=request.envelope.is_streaming,
                client=request.client,
                headers=request.headers,
                body_bytes=len(request.envelope.body),
                replay_of=request.replay_of,
            )
        )

    def route(self, selected: SelectedRoute, decision: RouteDecision, attempt: int) -> None:
        """A backend was chosen."""
        self.chosen, self.decision = selected, decision
        self.bus.publish(
            RouteDecided(
                at=self.now(),
                request_id=self.request.envelope.id,
                backend=selected.backend.name,
                backend_type=selected.backend.type,
                zone=selected.backend.zone,
                model=selected.model,
                reason=selected.reason,
                attempt=attempt,
                resolved=self.request.need.resolved,
                considered=decision.considered,
            )
        )

    def drop(self, hints: tuple[str, ...]) -> None:
        """The chosen backend is not told these sampling hints: its model does not take them."""
        if self.chosen is not None and hints:
            self.chosen = replace(self.chosen, dropped=hints)

    def open_charge(self, backend: BackendSnapshot, model: str) -> None:
        """Count and reserve for the attempt that begins now; nothing may be awaited before it."""
        at = self.now()
        self.charge = Charge(self.cost_tracker, self.request, backend, model, at)
        self._tell_budget(at)

    async def counted(self) -> None:
        """Wait until the prompt is counted: long done when an answer begins."""
        if self.charge is not None:
            await self.charge.counted(self.now())

    def drop_charge(self) -> None:
        """The attempt came to nothing, and costs nothing."""
        if self.charge is not None:
            self.charge.drop(self.now())
            self.charge = None

    def expect(self, answer: Answer) -> None:
        """The answer is about to begin: tell what it costs, or is expected to cost."""
        if answer.status >= 400:
            self.drop_charge()
            return
        self.answered = ReportedUsage(
            usage=answer.usage,
            service_tier=answer.service_tier,
            text_bytes=answer.text_bytes,
            is_whole=answer.relay is None,
        )
        if self.chosen is not None and self.charge is not None:
            cost = self.charge.expected(self.answered, self.now())
            self.chosen = replace(self.chosen, cost=cost)

    def fail_attempt(self, backend: str, failure: Failure, seconds: float) -> None:
        """A backend failed before the client's answer began."""
        attempt = Attempt(
            backend=backend,
            error=failure.why,
            status=failure.status,
            elapsed_ms=seconds * 1000,
        )
        self.attempts.append(attempt)
        self.drop_charge()
        self.bus.publish(
            AttemptFailed(at=self.now(), request_id=self.request.envelope.id, attempt=attempt)
        )

    def begin(self, backend: str, status: int, headers: Headers) -> None:
        """The client's answer begins."""
        self.status, self.headers = status, headers
        self.first_byte_ms = self._elapsed_ms()
        self.bus.publish(
            FirstByteReceived(
                at=self.now(),
                request_id=self.request.envelope.id,
                backend=backend,
                status=status,
                first_byte_ms=self.first_byte_ms,
                headers=headers,
            )
        )

    def finish(self) -> None:
        """The request is over: settle it, tell of it, write it down."""
        at = self.now()  # one moment for budget, event and ledger: a month may end here
        total_ms = self._elapsed_ms()
        selected, begun = self.chosen, self.first_byte_ms
        account = self._settle(at)
        event = RequestFinished(
            at=at,
            request_id=self.request.envelope.id,
            backend=selected.backend.name if selected else None,
            backend_type=selected.backend.type if selected else None,
            zone=selected.backend.zone if selected else None,
            reason=selected.reason if selected else None,
            model=selected.model if selected else self.request.envelope.model,
            status=self.status,
            failed=self.failed,
            client_left=self.client_left,
            error=self.error,
            total_ms=total_ms,
            first_byte_ms=begun,
            overhead_ms=None if begun is None else self._overhead_ms(begun),
            usage=account.usage,
            counted=account.counted,
            estimated=account.estimated,
            cost=account.cost,
            is_unpriced=account.is_unpriced,
            is_partial=account.is_partial,
            saved=account.saved,
            saved_model=account.saved_model,
            attempts=tuple(self.attempts),
            considered=self.decision.considered if self.decision else (),
            headers=self.headers,
        )
        self.bus.publish(event)
        self.cost_tracker.ledger.append(ledger_row(event, self.request))
        self._tell_budget(at)
        self._log(event)

    def _settle(self, at: float) -> Account:
        if self.charge is None:
            return NOTHING
        answered = self.answered or ReportedUsage(usage=None, is_whole=False)
        return self.charge.settle(answered, at)

    def _tell_budget(self, at: float) -> None:
        budget = self.cost_tracker.budget
        for change in budget.changes(at):
            self.bus.publish(
                BudgetStatusChanged(
                    at=at,
                    client=change.client,
                    before=change.before,
                    after=change.after,
                    resets_in_seconds=self.cost_tracker.resets_in_seconds(),
                )
            )

    def _log(self, event: RequestFinished) -> None:
        level = logging.WARNING if event.failed else logging.INFO
        if log.isEnabledFor(level):
            upstream_ms = round(self.upstream_seconds * 1000, 2)
            fields = _fields(event, self.request.envelope.model, upstream_ms)
            log.log(level, "finished", extra={"fields": fields})

    def _overhead_ms(self, elapsed_ms: float) -> float:
        return max(0.0, elapsed_ms - self.upstream_seconds * 1000)

    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self.request.received) * 1000


def _fields(event: RequestFinished, asked: str, upstream_ms: float) -> dict[str, object]:
    """What the log tells of a request: always these keys, None where nothing is known."""
    usage = event.usage
    return {
        "request": event.request_id,
        "asked": asked,
        "model": event.model if event.backend else None,
        "backend": event.backend,
        "zone": event.zone,
        "reason": event.reason,
        "status": event.status,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "counted": event.counted,
        "cost_usd": None if event.cost is None else float(event.cost.usd),
        "is_unpriced": event.is_unpriced,
        "total_ms": round(event.total_ms, 2),
        "first_byte_ms": _rounded(event.first_byte_ms),
        "overhead_ms": _rounded(event.overhead_ms),
        "upstream_ms": upstream_ms,
        "attempts": [
            {
                "backend": attempt.backend,
                "status": attempt.status,
                "error": attempt.error,
                "ms": round(attempt.elapsed_ms, 2),
            }
            for attempt in event.attempts
        ],
        "client_left": event.client_left,
        "error": event.error,
    }


def ledger_row(event: RequestFinished, request: ProxyRequest) -> LedgerRow:
    """What the ledger keeps of a request: names and counts."""
    usage = event.usage
    counts = {} if usage is None else asdict(usage)
    counts.pop("cost_nano_usd", None)  # the row's is what was charged in the end
    return LedgerRow(
        request_id=event.request_id,
        at=event.at,
        client=request.client,
        endpoint=request.envelope.path,
        asked_model=request.envelope.model,
        model=event.model if event.backend else None,
        backend=event.backend,
        backend_type=event.backend_type,
        zone=event.zone,
        reason=event.reason,
        attempts=len(event.attempts) + (event.backend is not None and not _is_last_failed(event)),
        is_streaming=request.envelope.is_streaming,
        status=event.status,
        failed=event.failed,
        client_left=event.client_left,
        is_partial=event.is_partial,
        counted=event.counted,
        estimated_nano_usd=nano_usd(event.estimated),
        cost_nano_usd=nano_usd(event.cost),
        price_source=None if event.cost is None else event.cost.source,
        is_unpriced=event.is_unpriced,
        total_ms=event.total_ms,
        first_byte_ms=event.first_byte_ms,
        overhead_ms=event.overhead_ms,
        saved_nano_usd=nano_usd(event.saved),
        saved_model=event.saved_model,
        **counts,
    )


def _is_last_failed(event: RequestFinished) -> bool:
    return bool(event.attempts) and event.attempts[-1].backend == event.backend


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 2)
