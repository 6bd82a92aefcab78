"""Progress of one request: the writer of its record, its row and its log line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from msgspec.structs import replace

from nexus_core.dialects.request import Demand
from nexus_core.errors import NexusError, UpstreamFailedError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.accounting import CostTracker
from nexus_core.money.priced_model import Estimate
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import Attempt, AttemptFailed, BudgetStatusChanged
from nexus_core.observe.phases import BEGAN, DECIDED, FAILED, FINISHED, RECEIVED, decided
from nexus_core.observe.record import DecisionToTell, HeaderLines, RequestRecord
from nexus_core.observe.request_line import log_request
from nexus_core.proxy.charge import Charge, ReportedUsage, Settlement
from nexus_core.proxy.exchange import Answer, Failure
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.router import RouteDecision
from nexus_core.types import BudgetStatus, Cost

log = logging.getLogger(__name__)

_NOTHING_REPORTED = ReportedUsage(usage=None, is_whole=False)
CLIENT_LEFT = 499  # as nginx writes it in its log; nobody is there to receive it


class RequestProgress:
    """State of one request from arrival to outcome; tells the bus of each phase it reaches.

    Its methods are the request's phases and the only writers of its record: other code only reads.
    """

    decision: RouteDecision | None = None
    route: SelectedRoute | None = None  # of the last attempt, as it was decided
    dropped_hints: tuple[str, ...] = ()
    expected_cost: Cost | None = None  # of the answer about to begin
    is_at_backend: bool = False  # an exchange is in progress, not a wait for a slot
    queued_until: float | None = None  # by the loop's time, of a wait that an attempt ends
    upstream_seconds: float = 0.0  # spent waiting for backends up to the first byte
    estimate: Estimate | None = None  # of the attempt that was decided last
    charge: Charge | None = None  # of the attempt in progress, or of the one that answered
    reported_usage: ReportedUsage | None = None  # of that attempt, in tokens

    def __init__(
        self,
        request: ProxyRequest,
        bus: EventBus,
        cost_tracker: CostTracker,
        now: Callable[[], float],
    ) -> None:
        envelope = request.envelope
        self.request = request
        self.bus = bus
        self.cost_tracker = cost_tracker
        self.now = now  # seconds since the epoch
        self.demand: Demand = envelope.demand  # and what backends told of it
        self.record = RequestRecord(
            envelope.id,
            now(),
            envelope.path,
            envelope.model,
            envelope.is_streaming,
            request.client,
            request.headers,
            len(envelope.body),
            request.replay_of,
            request.origin,
        )

    def __repr__(self) -> str:
        """What may be shown: no prompt."""
        return f"RequestProgress({self.request.envelope!r})"

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
        return self.record.first_byte_ms is not None

    # --- towards an answer ---------------------------------------------------------------

    def received(self) -> None:
        """The request arrived and is valid."""
        self.bus.reach(RECEIVED, self.record)

    def waited(self, seconds: float) -> None:
        """The request waited this long for a backend or for the month's spending, not for Nexus."""
        self.upstream_seconds += seconds

    def may_wait_until(self, at: float | None) -> None:
        """The end of all its turns in the queue, by the loop's time; None: an attempt was made."""
        self.queued_until = at

    def decided(self, decision: RouteDecision, seconds: float) -> None:
        """The router has decided, after this wait for backends."""
        self.decision = decision
        self.upstream_seconds += seconds

    def routed(self, selected: SelectedRoute, decision: RouteDecision, attempt: int) -> None:
        """A backend was selected."""
        record = self.record
        if record.attempt:
            self._keep_decided()
        self.route, self.decision = selected, decision
        self.dropped_hints, self.expected_cost = selected.dropped, selected.cost
        self._write_route(selected)
        record.decision, record.resolved = decision, self.request.need.resolved
        if record.resolved:  # the same text, of which there is one for all requests
            record.asked_model = record.resolved[0]
        record.attempt, record.decided_at = attempt, self.now()
        record.version += 1
        self.bus.reach(DECIDED, record, attempt)

    def estimated(self, backend: BackendSnapshot, model: str, at: float) -> Estimate:
        """What an attempt at a cloud backend is expected to cost: for its lease and its charge."""
        known = self.estimate
        if known is None or known.backend is not backend or known.model != model:
            known = self.cost_tracker.estimate(backend, model, self.demand, at)
            self.estimate = known
        return known

    def open_charge(self, backend: BackendSnapshot, model: str) -> None:
        """An attempt begins: reserve its expected cost; nothing may be awaited before.

        That is the moment at which it was decided.
        """
        self.is_at_backend = True
        at = self.record.decided_at or self.now()
        estimate = self.estimated(backend, model, at) if backend.type.is_cloud else None
        self.charge = Charge(self.cost_tracker, self.request, model, estimate, at)
        if self.cost_tracker.budget.has_news:
            self._publish_budget(at)

    def hints_dropped(self, hints: tuple[str, ...]) -> None:
        """Sampling hints were dropped, which the selected backend's model does not support."""
        self.dropped_hints = hints

    def needs_window(self, tokens: int) -> None:
        """A backend told how long the prompt is: no shorter window is asked again."""
        self.demand = replace(self.demand, prompt_tokens=tokens)
        self.estimate = None

    async def counted(self) -> None:
        """Wait until the prompt's tokens are counted; usually done when an answer begins.

        Of a whole answer that came with its usage, their count is not used.
        """
        if self.charge is not None:
            await self.charge.counted(self.now())

    def attempt_failed(self, backend: str, failure: Failure, seconds: float) -> None:
        """A backend failed before the client's answer began."""
        record = self.record
        attempt = Attempt(
            backend=backend,
            error=failure.why,
            status=failure.status,
            elapsed_ms=seconds * 1000,
        )
        self._drop_charge()
        failed = AttemptFailed(at=self.now(), request_id=record.request_id, attempt=attempt)
        record.failures = (*record.failures, failed)
        record.version += 1
        self.bus.reach(FAILED, record, len(record.failures))

    def exchange_ended(self, *, is_free: bool) -> None:
        """The exchange is over; with `is_free` the backend did no work, and it costs nothing."""
        self.is_at_backend = False
        if is_free:
            self._drop_charge()

    def fell_back_to(self, selected: SelectedRoute | None) -> None:
        """All attempts failed; the client gets this route's failure."""
        if selected is None:
            return
        self._keep_decided()
        self.route = selected
        self.dropped_hints, self.expected_cost = selected.dropped, selected.cost
        self._write_route(selected)

    # --- the answer ----------------------------------------------------------------------

    def answered(self, answer: Answer) -> None:
        """An answer is about to begin: note its usage and its cost, final or expected."""
        if answer.status >= 400:
            self.record.error_code = f"upstream_{answer.status}"
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

    def began(self, backend: str, status: int, headers: HeaderLines) -> None:
        """The client's answer begins."""
        record = self.record
        record.backend, record.status, record.answer_headers = backend, status, headers
        record.first_byte_ms = (time.monotonic() - self.request.received) * 1000
        record.began_at = self.now()
        record.version += 1
        self.bus.reach(BEGAN, record)

    def relayed(self, usage: ReportedUsage) -> None:
        """The stream ended or was cut, with this usage."""
        self.reported_usage = usage

    # --- how it may end ------------------------------------------------------------------

    def left(self) -> None:
        """The client closed its connection."""
        self.record.client_left = True

    def broke(self, error: str) -> None:
        """The answer is a backend's error, or was ended by one."""
        record = self.record
        record.failed, record.error = True, error
        record.error_code = record.error_code or UpstreamFailedError.code

    def erred(self, error: NexusError) -> None:
        """The request ended with one of Nexus's errors: the client's answer if none had begun."""
        record = self.record
        record.failed, record.error = error.status >= 500, error.message
        record.error_code = error.code
        if not self.has_begun:
            record.status = error.status

    def refused(self, headers: HeaderLines) -> None:
        """The client got the error, with these headers."""
        self.record.answer_headers = headers

    def crashed(self) -> None:
        """Nexus itself failed; the client gets a 500."""
        record = self.record
        record.failed, record.error = True, "internal error; see the Nexus log"
        record.error_code = NexusError.code
        if not self.has_begun:
            record.status = 500

    def finished(self) -> None:
        """The request is over: settle its charge, complete its record, write log and ledger."""
        record, tracker = self.record, self.cost_tracker
        at = self.now()  # one moment for budget, event and ledger: a month may end here
        total_ms = (time.monotonic() - self.request.received) * 1000
        if self.charge is not None:
            self._settle(self.charge, at)
        if self.decision is not None and self.decision is not record.decision:
            self._refused_by(self.decision)
        if record.status is None:
            record.status = CLIENT_LEFT
        begun, upstream_ms = record.first_byte_ms, self.upstream_seconds * 1000
        record.upstream_ms = upstream_ms
        if begun is not None:
            record.overhead_ms = max(0.0, begun - upstream_ms)
        record.ended_at, record.total_ms = at, total_ms
        record.version += 1
        self.bus.reach(FINISHED, record)
        tracker.ledger.append(record)
        if tracker.budget.has_news:
            self._publish_budget(at)
        log_request(log, record)

    # --- writing -------------------------------------------------------------------------

    def _write_route(self, selected: SelectedRoute) -> None:
        record, backend = self.record, selected.backend
        record.backend, record.backend_type, record.zone = backend.name, backend.type, backend.zone
        record.reason, record.route_model = selected.reason, selected.model

    def _keep_decided(self) -> None:
        """Keep what was decided for the latest attempt, before something else takes its place."""
        self.bus.settle()  # which reads it
        record = self.record
        if len(record.replaced) < record.attempt:
            record.replaced = (*record.replaced, decided(record, record.attempt))

    def _refused_by(self, decision: RouteDecision) -> None:
        """The last decision was that nobody can: of its moment no more is kept than was told."""
        if self.record.attempt:
            self._keep_decided()
        self.record.decision = DecisionToTell(decision.considered)

    def _settle(self, charge: Charge, at: float) -> None:
        """Write what the attempt cost; a fault of the accounting must not lose its row."""
        try:
            self._write_money(charge.settle(self.reported_usage or _NOTHING_REPORTED, at))
        except Exception:
            log.exception("the cost of request=%s is not known", self.record.request_id)
            self.record.is_unpriced = charge.is_cloud
            charge.drop(at)

    def _write_money(self, money: Settlement) -> None:
        record = self.record
        record.usage, record.counted = money.usage, money.counted
        record.estimated, record.cost = money.estimated, money.cost
        record.is_unpriced, record.is_partial = money.is_unpriced, money.is_partial
        record.saved, record.saved_model = money.saved, money.saved_model

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
