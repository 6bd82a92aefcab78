"""Statistics of all requests: the source of /v1/stats, /metrics and the dashboard."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from http import HTTPStatus

from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    ZoneToggled,
)
from nexus_core.observe.histogram import Histogram
from nexus_core.observe.operation_stats import (
    MAX_MODEL_LENGTH,
    MAX_MODELS,
    UNKNOWN_MODEL,
    BackendStats,
    OperationKey,
    OperationStats,
)
from nexus_core.observe.phases import (
    BEGAN,
    DECIDED,
    FINISHED,
    RECEIVED,
    Reached,
    record_of,
    take,
)
from nexus_core.observe.record import RequestRecord
from nexus_core.types import CountMethod, PrivacyZone, RouteReason

_REPORTED = CountMethod.REPORTED
_KNOWN_STATUSES = frozenset({*map(int, HTTPStatus), 499, 529})  # the last two: nginx's, Anthropic's


class Stats:
    """Everything counted since the start, or of a window (`windows`); read it freely.

    What each number means to people: docs/numbers.md. It changes with the phases of requests
    (`take_in`), and with events made elsewhere (`apply`).
    """

    # Slots: past thirty attributes a plain instance is slow to count with.
    __slots__ = (
        *("requests", "in_flight", "finished", "failed", "client_errors", "client_left"),
        *("turned_away", "refused_by_cut", "refused_for_privacy", "attempts", "failovers"),
        *("local_answers", "cloud_answers", "prompt_tokens", "completion_tokens"),
        *("counted_prompt_tokens", "counted_completion_tokens", "cost_nano_usd"),
        *("estimated_nano_usd", "unpriced", "saved_nano_usd", "reasons", "statuses", "refusals"),
        *("first_byte", "total", "overhead", "backends", "durations", "operations"),
        *("under_way", "cut_zones"),
    )

    def __init__(self) -> None:
        self.requests = 0  # received and valid
        self.in_flight = 0
        self.finished = 0
        self.failed = 0  # by Nexus or a backend: errors
        self.client_errors = 0  # 4xx that are the request's own fault
        self.client_left = 0
        self.turned_away = 0  # before routing
        self.refused_by_cut = 0  # of those that failed: only a cut zone would have served them
        self.refused_for_privacy = 0  # the same: only the privacy rule kept a backend from them
        self.attempts = 0
        self.failovers = 0  # attempts after the first
        self.local_answers = 0
        self.cloud_answers = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.counted_prompt_tokens = 0  # by Nexus, of answers without a report: on top
        self.counted_completion_tokens = 0
        self.cost_nano_usd = 0
        self.estimated_nano_usd = 0  # the part of it that is by counts of Nexus's own
        self.unpriced = 0
        self.saved_nano_usd = 0  # an estimate: what local answers would have cost in the cloud
        self.reasons: Counter[RouteReason] = Counter()
        self.statuses: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()  # by code
        self.first_byte = Histogram()  # of answers that began with success
        self.total = Histogram()  # of whole answers with success
        self.overhead = Histogram()
        self.backends: defaultdict[str, BackendStats] = defaultdict(BackendStats)
        # By status as `known_status` tells it.
        self.durations: defaultdict[tuple[str, int], Histogram] = defaultdict(Histogram)
        self.operations: defaultdict[OperationKey, OperationStats] = defaultdict(OperationStats)
        self.under_way: dict[str, RequestRecord] = {}  # by request id
        self.cut_zones: set[PrivacyZone] = set()

    def backend(self, name: str) -> BackendStats:
        """The numbers of one backend; zeros if it was never used."""
        return self.backends[name]

    def counters(self) -> dict[str, int]:
        """Its plain numbers by name: small enough to be sent often."""
        values = [(name, getattr(self, name)) for name in self.__slots__]
        return {name: value for name, value in values if isinstance(value, int)}

    def take_in(self, reached: Sequence[Reached]) -> None:
        """Count phases of requests, in the order in which they were reached."""
        for one in reached:
            phase, record = one.phase, one.record
            if phase is RECEIVED:
                self._receive(record)
            elif phase is DECIDED:
                self._attempt(record)
            elif phase is BEGAN:
                self._begin(record)
            elif phase is FINISHED:
                self._finish(record)
            else:
                self._fail(record, record.failures[one.number - 1].attempt)

    def apply(self, event: NexusEvent) -> None:
        """Count an event that was made elsewhere; what is state, and no count, changes nothing."""
        match event:
            case RequestReceived():
                self._receive(record_of(event))
            case RouteDecided() | AttemptFailed() | FirstByteReceived() | RequestFinished():
                record = self.under_way.get(event.request_id)
                if record is None:  # its beginning was not seen: a record of this event alone
                    record = RequestRecord(event.request_id, event.at)
                self.take_in([Reached(take(record, event), record, len(record.failures))])
            case RequestRefused():
                self.turned_away += 1
                self.refusals[event.code] += 1
                self.statuses[event.status] += 1
            case ZoneToggled():
                (self.cut_zones.discard if event.enabled else self.cut_zones.add)(event.zone)
            case _:
                pass

    def _receive(self, record: RequestRecord) -> None:
        self.requests += 1
        self.in_flight += 1
        self.under_way[record.request_id] = record

    def _attempt(self, record: RequestRecord) -> None:
        name, kind, model = record.backend, record.backend_type, record.route_model
        if name is None or kind is None or model is None:
            return
        self.attempts += 1
        if record.attempt > 1:
            self.failovers += 1
        backend = self.backends[name]
        backend.attempts += 1
        if not record.endpoint:
            return
        if model not in backend.models:
            if len(backend.models) < MAX_MODELS and len(model) <= MAX_MODEL_LENGTH:
                backend.models.add(model)
            else:
                model = UNKNOWN_MODEL
        record.operation = self.operations[OperationKey(record.endpoint, name, kind, model)]

    def _fail(self, record: RequestRecord, attempt: Attempt) -> None:
        error = _attempt_error(attempt.status)
        backend = self.backends[attempt.backend]
        backend.failures += 1
        backend.errors[error] += 1
        if record.operation is not None:
            record.operation.duration[error].add(attempt.elapsed_ms)

    def _begin(self, record: RequestRecord) -> None:
        ms, operation = record.first_byte_ms, record.operation
        if ms is None or record.backend is None or (record.status or 0) >= 400:
            return
        first_byte = self.backends[record.backend].first_byte
        if operation is not None and record.is_streaming:
            self.first_byte.add(ms, first_byte, operation.first_token)
        else:
            self.first_byte.add(ms, first_byte)

    def _finish(self, record: RequestRecord) -> None:
        self.in_flight -= 1
        self.finished += 1
        status, total_ms = record.status or 0, record.total_ms or 0.0
        self.statuses[status] += 1
        if record.overhead_ms is not None:
            self.overhead.add(record.overhead_ms)
        if record.reason is not None:
            self.reasons[record.reason] += 1
        name, kind = record.backend, record.backend_type
        backend = None if name is None or kind is None else self.backends[name]
        is_whole = not (record.failed or record.client_left or status >= 400)
        totals: tuple[Histogram, ...] = ()
        if not is_whole:
            self._count_no_answer(record)
        elif backend is None:
            totals = (self.total,)
        else:
            totals = (self.total, backend.total)
        if self.under_way.pop(record.request_id, None) is not None:
            self.durations[record.endpoint, known_status(status)].add(total_ms, *totals)
        elif totals:
            totals[0].add(total_ms, *totals[1:])
        if backend is None or kind is None:
            return
        self._count_end(record, backend, is_whole=is_whole)
        self._count_tokens(record, backend)
        self._count_money(record, backend)
        if kind.is_cloud:
            self.cloud_answers += 1
        else:
            self.local_answers += 1

    def _count_no_answer(self, record: RequestRecord) -> None:
        """How a request ended that got no whole answer, in one of three ways."""
        if record.client_left:
            self.client_left += 1
        elif record.failed:
            self.failed += 1
            if record.backend is None and record.status == HTTPStatus.SERVICE_UNAVAILABLE:
                self._count_refusal(record)
        else:
            self.client_errors += 1

    def _count_refusal(self, record: RequestRecord) -> None:
        """No backend was selected: whether a cut, or else the privacy rule, kept one away."""
        dropped = [(one.dropped_by, one.zone) for one in record.considered]
        if any(stage == "enabled" and zone in self.cut_zones for stage, zone in dropped):
            self.refused_by_cut += 1
        elif any(stage == "zone" for stage, _ in dropped):
            self.refused_for_privacy += 1

    def _count_end(self, record: RequestRecord, backend: BackendStats, *, is_whole: bool) -> None:
        backend.answers += 1
        # An attempt that failed was counted then, even if its answer is what the client gets.
        name, failures = record.backend, record.failures
        if failures and any(event.attempt.backend == name for event in failures):
            return
        error = ""
        if not is_whole:
            error, is_of_backend = _answer_error(record)
            if is_of_backend:
                backend.failures += 1
                backend.errors[error] += 1
        if record.operation is not None:
            record.operation.duration[error].add(_last_attempt_ms(record))

    def _count_tokens(self, record: RequestRecord, backend: BackendStats) -> None:
        usage, counted, operation = record.usage, record.counted, record.operation
        if usage is None:
            return
        if counted is not _REPORTED and counted is not None:
            # Nexus's own count is no report of the backend.
            self.counted_prompt_tokens += usage.prompt_tokens
            self.counted_completion_tokens += usage.completion_tokens
            backend.counted_prompt_tokens += usage.prompt_tokens
            backend.counted_completion_tokens += usage.completion_tokens
            return
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        backend.prompt_tokens += usage.prompt_tokens
        backend.completion_tokens += usage.completion_tokens
        if operation is not None:
            operation.prompt_tokens.add(usage.prompt_tokens)
            operation.completion_tokens.add(usage.completion_tokens)

    def _count_money(self, record: RequestRecord, backend: BackendStats) -> None:
        if record.cost is not None:
            nano_usd = record.cost.nano_usd
            self.cost_nano_usd += nano_usd
            backend.cost_nano_usd += nano_usd
            if record.counted is not _REPORTED:
                self.estimated_nano_usd += nano_usd
                backend.estimated_nano_usd += nano_usd
        elif record.is_unpriced:
            self.unpriced += 1
            backend.unpriced += 1
        if record.saved is not None:
            self.saved_nano_usd += record.saved.nano_usd


def known_status(status: int) -> int:
    """The status, or x00 of its class where it is not a registered one.

    Backends may answer with any number; so the set stays closed.
    https://www.rfc-editor.org/rfc/rfc9110#section-15
    """
    return status if status in _KNOWN_STATUSES else status // 100 * 100


def _attempt_error(status: int | None) -> str:
    """What was wrong, in a word: the backend's status, unless that was not it."""
    if status is None:
        return "no_answer"
    return str(known_status(status)) if status >= 400 else "bad_answer"


def _answer_error(record: RequestRecord) -> tuple[str, bool]:
    """How the last attempt ended that did not fail by itself, and whether its backend is to blame.

    Empty where nothing was wrong. Before the first byte only the deadline is the backend's doing.
    """
    status = record.status or 0
    if record.client_left:
        return "cancelled", False
    if record.failed and record.first_byte_ms is not None:
        return "broken", True
    if record.failed and status == HTTPStatus.GATEWAY_TIMEOUT:
        return "timeout", True
    return (str(known_status(status)) if status >= 400 else ""), False


def _last_attempt_ms(record: RequestRecord) -> float:
    """From the last attempt's first byte out to its last byte in."""
    before = record.overhead_ms or 0.0
    if record.failures:
        before += sum(event.attempt.elapsed_ms for event in record.failures)
    return max(0.0, (record.total_ms or 0.0) - before)
