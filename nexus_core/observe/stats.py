"""Statistics folded from events: the source of /v1/stats, /metrics and the dashboard."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple, assert_never

from nexus_core.catalog import BackendType
from nexus_core.observe.events import (
    AttemptFailed,
    BackendAdded,
    BackendChanged,
    BackendHealthChanged,
    BackendProbed,
    BackendRemoved,
    BackendToggled,
    BudgetStatusChanged,
    CaptureToggled,
    ConfigReloaded,
    CooldownBegan,
    CooldownEnded,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    ZoneToggled,
)
from nexus_core.observe.histogram import Histogram, TokenHistogram
from nexus_core.types import CountMethod, RouteReason

UNKNOWN_MODEL = "unknown"

# A backend may list any models it likes: beyond these its models are counted as one.
_MAX_MODELS = 256
_MAX_MODEL_LENGTH = 256

_KNOWN_STATUSES = frozenset({*map(int, HTTPStatus), 499, 529})  # the last two: nginx's, Anthropic's


@dataclass(slots=True)
class BackendStats:
    """One backend's numbers since the start."""

    attempts: int = 0  # requests that were sent to it
    answers: int = 0  # requests whose answer came from it
    failures: int = 0  # attempts that failed, and answers that broke off
    errors: Counter[str] = field(default_factory=Counter)  # what the failures were: a closed set
    prompt_tokens: int = 0  # as the backend reported them
    completion_tokens: int = 0
    cost_nano_usd: int = 0  # of what has a price
    estimated_nano_usd: int = 0  # the part of it that is by counts of Nexus's own
    unpriced: int = 0  # answers that cost something, and nobody knows how much
    first_byte: Histogram = field(default_factory=Histogram)
    total: Histogram = field(default_factory=Histogram)
    models: set[str] = field(default_factory=set)  # that it was asked for, by its own names


class OperationKey(NamedTuple):
    """One kind of work: what was asked of which backend."""

    endpoint: str  # the path
    backend: str
    backend_type: BackendType
    model: str  # the backend's own name of it, or UNKNOWN_MODEL


@dataclass(slots=True)
class OperationStats:
    """How one kind of work went."""

    # By error, "" where there was none. From the attempt on: without failed attempts before it.
    duration: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    first_token: Histogram = field(default_factory=Histogram)  # streams; since the request came
    prompt_tokens: TokenHistogram = field(default_factory=TokenHistogram)
    completion_tokens: TokenHistogram = field(default_factory=TokenHistogram)


@dataclass(slots=True)
class OpenRequest:
    """What is remembered of a request until it is over."""

    endpoint: str  # the path
    is_streaming: bool
    operation: OperationStats | None = None  # of the last attempt


class Stats:
    """Everything counted since the start; read it freely, change it only through `apply`."""

    def __init__(self) -> None:
        self.requests = 0  # received and valid
        self.in_flight = 0
        self.finished = 0
        self.failed = 0  # by Nexus or a backend
        self.client_left = 0
        self.refused = 0  # turned away before routing
        self.attempts = 0
        self.failovers = 0  # attempts after the first
        self.local_answers = 0
        self.cloud_answers = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cost_nano_usd = 0
        self.estimated_nano_usd = 0  # the part of it that is by counts of Nexus's own
        self.unpriced = 0
        self.saved_nano_usd = 0  # an estimate: what local answers would have cost in the cloud
        self.reasons: Counter[RouteReason] = Counter()
        self.statuses: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()  # by code
        self.first_byte = Histogram()
        self.total = Histogram()
        self.overhead = Histogram()
        self.backends: defaultdict[str, BackendStats] = defaultdict(BackendStats)
        # By status as `known_status` tells it.
        self.durations: defaultdict[tuple[str, int], Histogram] = defaultdict(Histogram)
        self.operations: defaultdict[OperationKey, OperationStats] = defaultdict(OperationStats)
        self.under_way: dict[str, OpenRequest] = {}  # by request id

    def backend(self, name: str) -> BackendStats:
        """The numbers of one backend; zeros if it was never used."""
        return self.backends[name]

    def apply(self, event: NexusEvent) -> None:
        """Count one event."""
        match event:
            case RequestReceived():
                self.requests += 1
                self.in_flight += 1
                self.under_way[event.request_id] = OpenRequest(event.endpoint, event.is_streaming)
            case RouteDecided():
                self._attempt(event)
            case AttemptFailed():
                self._fail(event)
            case FirstByteReceived():
                self._begin(event)
            case RequestFinished():
                self._finish(event)
            case RequestRefused():
                self.refused += 1
                self.refusals[event.code] += 1
                self.statuses[event.status] += 1
            case BackendHealthChanged() | BackendProbed() | BackendToggled() | BackendChanged():
                pass  # state, not a count: the registry tells it
            case BackendAdded() | BackendRemoved() | ZoneToggled():
                pass  # the same
            case ConfigReloaded() | BudgetStatusChanged() | CaptureToggled():
                pass  # the same
            case CooldownBegan() | CooldownEnded():
                pass  # the same
            case _:
                assert_never(event)

    def _attempt(self, event: RouteDecided) -> None:
        self.attempts += 1
        self.failovers += event.attempt > 1
        backend = self.backends[event.backend]
        backend.attempts += 1
        request = self.under_way.get(event.request_id)
        if request is None:
            return
        model = event.model
        if model not in backend.models:
            if len(backend.models) < _MAX_MODELS and len(model) <= _MAX_MODEL_LENGTH:
                backend.models.add(model)
            else:
                model = UNKNOWN_MODEL
        key = OperationKey(request.endpoint, event.backend, event.backend_type, model)
        request.operation = self.operations[key]

    def _fail(self, event: AttemptFailed) -> None:
        attempt = event.attempt
        error = _attempt_error(attempt.status)
        backend = self.backends[attempt.backend]
        backend.failures += 1
        backend.errors[error] += 1
        request = self.under_way.get(event.request_id)
        if request is not None and request.operation is not None:
            request.operation.duration[error].add(attempt.elapsed_ms)

    def _begin(self, event: FirstByteReceived) -> None:
        self.first_byte.add(event.first_byte_ms, self.backends[event.backend].first_byte)
        request = self.under_way.get(event.request_id)
        if request is None or request.operation is None:
            return
        if request.is_streaming and event.status < 400:
            request.operation.first_token.add(event.first_byte_ms)

    def _finish(self, event: RequestFinished) -> None:
        self.in_flight -= 1
        self.finished += 1
        self.failed += event.failed
        self.client_left += event.client_left
        self.statuses[event.status] += 1
        if event.overhead_ms is not None:
            self.overhead.add(event.overhead_ms)
        if event.reason is not None:
            self.reasons[event.reason] += 1
        totals: list[Histogram] = []  # beside that of all requests
        request = self.under_way.pop(event.request_id, None)
        if request is not None:
            totals.append(self.durations[request.endpoint, known_status(event.status)])
        if event.backend is not None and event.backend_type is not None:
            backend = self.backends[event.backend]
            totals.append(backend.total)
            self._count_answer(event, backend, request.operation if request else None)
            self._count_money(event, backend)
            if event.backend_type.is_cloud:
                self.cloud_answers += 1
            else:
                self.local_answers += 1
        self.total.add(event.total_ms, *totals)

    def _count_answer(
        self, event: RequestFinished, backend: BackendStats, operation: OperationStats | None
    ) -> None:
        backend.answers += 1
        # An attempt that failed was counted then, even if its answer is what the client gets.
        if all(attempt.backend != event.backend for attempt in event.attempts):
            error, is_of_backend = _answer_error(event)
            if is_of_backend:
                backend.failures += 1
                backend.errors[error] += 1
            if operation is not None:
                operation.duration[error].add(_last_attempt_ms(event))
        usage = event.usage
        if usage is None or event.counted in (CountMethod.ESTIMATED, CountMethod.EXACT):
            return  # Nexus's own count is no report of the backend
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        backend.prompt_tokens += usage.prompt_tokens
        backend.completion_tokens += usage.completion_tokens
        if operation is not None:
            operation.prompt_tokens.add(usage.prompt_tokens)
            operation.completion_tokens.add(usage.completion_tokens)

    def _count_money(self, event: RequestFinished, backend: BackendStats) -> None:
        if event.cost is not None:
            self.cost_nano_usd += event.cost.nano_usd
            backend.cost_nano_usd += event.cost.nano_usd
            if event.is_estimated:
                self.estimated_nano_usd += event.cost.nano_usd
                backend.estimated_nano_usd += event.cost.nano_usd
        if event.saved is not None:
            self.saved_nano_usd += event.saved.nano_usd
        self.unpriced += event.is_unpriced
        backend.unpriced += event.is_unpriced


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


def _answer_error(event: RequestFinished) -> tuple[str, bool]:
    """How the last attempt ended that did not fail by itself, and whether its backend is to blame.

    Empty where nothing was wrong. Before the first byte only the deadline is the backend's doing.
    """
    if event.client_left:
        return "cancelled", False
    if event.failed and event.first_byte_ms is not None:
        return "broken", True
    if event.failed and event.status == HTTPStatus.GATEWAY_TIMEOUT:
        return "timeout", True
    return (str(known_status(event.status)) if event.status >= 400 else ""), False


def _last_attempt_ms(event: RequestFinished) -> float:
    """From the last attempt's first byte out to its last byte in."""
    before = sum(attempt.elapsed_ms for attempt in event.attempts) + (event.overhead_ms or 0)
    return max(0.0, event.total_ms - before)
