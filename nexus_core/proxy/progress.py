"""Progress of one request, its events and its log line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nexus_core.errors import NexusError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.accounting import CostTracker
from nexus_core.money.ledger_schema import ledger_row
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    BudgetStatusChanged,
    FirstByteReceived,
    RequestReceived,
    RouteDecided,
)
from nexus_core.observe.outcome import RequestOutcome, log_fields
from nexus_core.proxy.charge import NOTHING, Charge, ReportedUsage, Settlement
from nexus_core.proxy.exchange import Answer, Failure
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.router import RouteDecision
from nexus_core.types import BudgetStatus, Cost
from nexus_core.upstream.base import Headers

log = logging.getLogger(__name__)

_NOTHING_REPORTED = ReportedUsage(usage=None, is_whole=False)
CLIENT_LEFT = 499  # as nginx writes it in its log; nobody is there to receive it


@dataclass(slots=True)
class RequestProgress:
    """State of one request from arrival to outcome; publishes an event for each phase.

    Its methods are the request's phases and the only writers: other code only reads it.
    """

    request: ProxyRequest
    bus: EventBus = field(repr=False)
    cost_tracker: CostTracker = field(repr=False)
    now: Callable[[], float] = field(repr=False)
    question: RequestReceived | None = field(default=None, repr=False)
    decision: RouteDecision | None = None
    route: SelectedRoute | None = None  # of the last attempt, as it was decided
    dropped_hints: tuple[str, ...] = ()
    expected_cost: Cost | None = None  # of the answer about to begin
    status: int = CLIENT_LEFT
    error: str | None = None
    failed: bool = False
    client_left: bool = False
    is_at_backend: bool = False  # an exchange is in progress, not a wait for a slot
    first_byte_ms: float | None = None
    upstream_seconds: float = 0.0  # spent waiting for backends up to the first byte
    charge: Charge | None = None  # of the attempt in progress, or of the one that answered
    reported_usage: ReportedUsage | None = None  # of that attempt, in tokens
    headers: Headers = ()
    attempts: tuple[Attempt, ...] = ()  # the failed ones

    # --- read ----------------------------------------------------------------------------

    @property
    def selected(self) -> SelectedRoute | None:
        """The route selected last, with Nexus's own overhead up to now; None before a selection."""
        route, budget = self.route, self.cost_tracker.budget
        if route is None:
            return None
        status = BudgetStatus.NORMAL
        if budget.is_limited:
            status = budget.status(self.request.client, self.now())
        elapsed = time.monotonic() - self.request.received
        return SelectedRoute(
            route.backend,
            route.model,
            route.reason,
            max(0.0, elapsed - self.upstream_seconds) * 1000,
            self.dropped_hints,
            self.expected_cost,
            status,
        )

    @property
    def has_begun(self) -> bool:
        """Whether the client's answer has begun; from then on nothing fails over."""
        return self.first_byte_ms is not None

    # --- towards an answer ---------------------------------------------------------------

    def received(self) -> None:
        """The request arrived and is valid."""
        request = self.request
        self.question = question = RequestReceived(
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
        self.bus.publish(question)

    def waited(self, seconds: float) -> None:
        """The request waited this long for a backend or for the month's spending, not for Nexus."""
        self.upstream_seconds += seconds

    def decided(self, decision: RouteDecision, seconds: float) -> None:
        """The router has decided, after this wait for backends."""
        self.decision = decision
        self.upstream_seconds += seconds

    def routed(self, selected: SelectedRoute, decision: RouteDecision, attempt: int) -> None:
        """A backend was selected."""
        self.route, self.decision = selected, decision
        self.dropped_hints, self.expected_cost = selected.dropped, selected.cost
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

    def open_charge(self, backend: BackendSnapshot, model: str) -> None:
        """An attempt begins: reserve its expected cost; nothing may be awaited before."""
        self.is_at_backend = True
        at = self.now()
        self.charge = Charge(self.cost_tracker, self.request, backend, model, at)
        if self.cost_tracker.budget.is_limited:
            self._publish_budget(at)

    def hints_dropped(self, hints: tuple[str, ...]) -> None:
        """Sampling hints were dropped, which the selected backend's model does not support."""
        self.dropped_hints = hints

    async def counted(self, *, is_reported: bool) -> None:
        """Wait until the prompt's tokens are counted; usually done when an answer begins.

        Args:
            is_reported: a whole answer came, with its usage: then their count is not used.
        """
        if self.charge is not None:
            await self.charge.counted(self.now(), is_reported=is_reported)

    def attempt_failed(self, backend: str, failure: Failure, seconds: float) -> None:
        """A backend failed before the client's answer began."""
        attempt = Attempt(
            backend=backend,
            error=failure.why,
            status=failure.status,
            elapsed_ms=seconds * 1000,
        )
        self.attempts = (*self.attempts, attempt)
        self._drop_charge()
        self.bus.publish(
            AttemptFailed(at=self.now(), request_id=self.request.envelope.id, attempt=attempt)
        )

    def exchange_ended(self, *, is_free: bool) -> None:
        """The exchange is over; with `is_free` the backend did no work, and it costs nothing."""
        self.is_at_backend = False
        if is_free:
            self._drop_charge()

    def fell_back_to(self, selected: SelectedRoute | None) -> None:
        """All attempts failed; the client gets this route's failure."""
        self.route = selected
        if selected is not None:
            self.dropped_hints, self.expected_cost = selected.dropped, selected.cost

    # --- the answer ----------------------------------------------------------------------

    def answered(self, answer: Answer) -> None:
        """An answer is about to begin: note its usage and its cost, final or expected."""
        if answer.status >= 400:
            self._drop_charge()
            return
        self.reported_usage = ReportedUsage(
            usage=answer.usage,
            service_tier=answer.service_tier,
            text_bytes=answer.text_bytes,
            is_whole=answer.relay is None,
        )
        if self.charge is not None and self.charge.is_cloud:
            self.expected_cost = self.charge.expected(self.reported_usage, self.now())

    def began(self, backend: str, status: int, headers: Headers) -> None:
        """The client's answer begins."""
        self.status, self.headers = status, headers
        self.first_byte_ms = (time.monotonic() - self.request.received) * 1000
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

    def relayed(self, usage: ReportedUsage) -> None:
        """The stream ended or was cut, with this usage."""
        self.reported_usage = usage

    # --- how it may end ------------------------------------------------------------------

    def left(self) -> None:
        """The client closed its connection."""
        self.client_left = True

    def broke(self, error: str) -> None:
        """The answer is a backend's error, or was ended by one."""
        self.failed, self.error = True, error

    def erred(self, error: NexusError) -> None:
        """The request ended with one of Nexus's errors: the client's answer if none had begun."""
        self.failed, self.error = error.status >= 500, error.message
        if not self.has_begun:
            self.status = error.status

    def refused(self, headers: Headers) -> None:
        """The client got the error, with these headers."""
        self.headers = headers

    def crashed(self) -> None:
        """Nexus itself failed; the client gets a 500."""
        self.failed, self.error = True, "internal error; see the Nexus log"
        if not self.has_begun:
            self.status = 500

    def finished(self) -> None:
        """The request is over: settle its charge, publish its outcome, write log and ledger."""
        at = self.now()  # one moment for budget, event and ledger: a month may end here
        total_ms = (time.monotonic() - self.request.received) * 1000
        money = NOTHING
        if self.charge is not None:
            money = self.charge.settle(self.reported_usage or _NOTHING_REPORTED, at)
        outcome = self._outcome(at, total_ms, money)
        self.bus.publish(outcome)
        self.cost_tracker.ledger.append(ledger_row(outcome))
        if self.cost_tracker.budget.is_limited:
            self._publish_budget(at)
        level = logging.WARNING if outcome.failed else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "finished", extra={"fields": log_fields(outcome)})

    def _outcome(self, at: float, total_ms: float, money: Settlement) -> RequestOutcome:
        route, begun, upstream_ms = self.route, self.first_byte_ms, self.upstream_seconds * 1000
        if self.question is None:
            raise RuntimeError("a request can't end before it was received")
        return RequestOutcome(
            at=at,
            request_id=self.request.envelope.id,
            received=self.question,
            backend=route.backend.name if route else None,
            backend_type=route.backend.type if route else None,
            zone=route.backend.zone if route else None,
            reason=route.reason if route else None,
            model=route.model if route else self.question.model,
            status=self.status,
            failed=self.failed,
            client_left=self.client_left,
            error=self.error,
            total_ms=total_ms,
            first_byte_ms=begun,
            overhead_ms=None if begun is None else max(0.0, begun - upstream_ms),
            upstream_ms=upstream_ms,
            usage=money.usage,
            counted=money.counted,
            estimated=money.estimated,
            cost=money.cost,
            is_unpriced=money.is_unpriced,
            is_partial=money.is_partial,
            saved=money.saved,
            saved_model=money.saved_model,
            attempts=self.attempts,
            considered=self.decision.considered if self.decision else (),
            headers=self.headers,
        )

    def _drop_charge(self) -> None:
        """Drop the charge of an attempt that failed."""
        if self.charge is not None:
            self.charge.drop(self.now())
            self.charge = None

    def _publish_budget(self, at: float) -> None:
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
