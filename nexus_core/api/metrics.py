"""GET /metrics: statistics and backend state in Prometheus text format.

Import it late: prometheus_client costs start-up time, and many a Nexus is never scraped.

Names and labels are OpenTelemetry's where it has some, in the form Prometheus gives them:
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
Every label's values are a closed set: backends of the configuration, models that those were asked
for by their own names, registered statuses, and our own words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, utils
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from nexus_core import __version__
from nexus_core.dialects.inbound import operation_at
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.gateway import Gateway
from nexus_core.observe.histogram import Histogram, TokenHistogram
from nexus_core.observe.operation_stats import BackendStats, OperationKey
from nexus_core.observe.stats import Stats
from nexus_core.types import NANO, HealthStatus, Operation, RouteReason

if TYPE_CHECKING:
    from nexus_core.control.shared.process import Shared
    from nexus_core.money.shared.shared_ledger import SharedLedger

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# The library gives its parameter no type.
_as_bound: Callable[[float], str] = utils.floatToGoString  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

# Seconds. What the conventions advise for GenAI operations, for all durations: HTTP's own advice
# ends at 10 s, where answers of a model only begin to be slow.
_DURATIONS = tuple(0.01 * 2**power for power in range(14))
_OVERHEADS = tuple(0.01 * 2**power for power in range(-6, 5))

_OPERATION_NAMES = {
    Operation.CHAT: "chat",
    Operation.COMPLETIONS: "text_completion",
    Operation.EMBEDDINGS: "embeddings",
}
_OPERATION_LABELS = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "backend",
)
_SLICE = 100  # operations: a few milliseconds of the loop at most
_HTTP_LABELS = ("http_request_method", "url_scheme")
_HTTP_VALUES = ("POST", "http")  # all that is routed


class GatewayCollector(Collector):
    """Prometheus collector of the gateway's statistics; counts nothing itself."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Metric]:
        """Every family, those without a sample included."""
        return (family for family in self.families() if family is not None)

    def families(self) -> Iterator[Metric | None]:
        """Every family; None wherever others may have the loop."""
        stats, snapshots = self._gateway.stats, self._gateway.registry.snapshots()
        yield InfoMetricFamily(
            "nexus_build", "Build information: the version of Nexus.", {"version": __version__}
        )
        yield GaugeMetricFamily(
            "nexus_queued_requests", "Requests waiting in the queue.", self._gateway.queued
        )
        yield CounterMetricFamily(
            "nexus_ledger_rows_lost",
            "Requests missing from the ledger because of write errors.",
            self._gateway.cost_tracker.ledger.lost,
        )
        if (shared := self._gateway.cost_tracker.shared) is not None:
            yield from _outbox(shared, self._gateway.now())
        yield from _http(stats)
        yield from _operations(stats)
        yield from _totals(stats)
        yield from _backends(stats, snapshots)
        if self._gateway.cost_tracker.is_read:  # before, no money is known: absent, never 0
            yield from _costs(stats, snapshots)
        yield from _states(snapshots)
        if self._gateway.shared is not None:
            yield from _fleet(self._gateway.shared)


def _outbox(shared: SharedLedger, at: float) -> Iterator[Metric]:
    waiting = shared.shipper.waiting
    yield GaugeMetricFamily(
        "nexus_ledger_rows_waiting",
        "Rows in this node's file that PostgreSQL does not have yet.",
        waiting.rows,
    )
    yield GaugeMetricFamily(
        "nexus_ledger_waiting_seconds",
        "Age of the row that waits longest for PostgreSQL; 0 if none does.",
        0.0 if waiting.oldest is None else max(0.0, at - waiting.oldest),
    )
    yield CounterMetricFamily(
        "nexus_ledger_rows_refused",
        "Rows that PostgreSQL will not take; they stay in this node's file only.",
        shared.shipper.refused,
    )


class CountsCollector(Collector):
    """Prometheus collector of what was counted by a process that is gone."""

    def __init__(self, stats: Stats, snapshots: Sequence[BackendSnapshot]) -> None:
        self._stats = stats
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        """Counters and histograms."""
        stats, snapshots = self._stats, self._snapshots
        yield from _http(stats)
        yield from (family for family in _operations(stats) if family is not None)
        yield from _totals(stats)
        yield from _backends(stats, snapshots)
        yield from _costs(stats, snapshots)


class _Read(Collector):
    """Families that were read already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


async def read(gateway: Gateway) -> CollectorRegistry:
    """Read all metrics, on the event loop and in slices between its other work.

    Each histogram is of one moment; two of them may differ by what happens in between.
    """
    families: list[Metric] = []
    for family in GatewayCollector(gateway).families():
        if family is None:
            await asyncio.sleep(0)
        else:
            families.append(family)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Read(families))
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Render metrics in Prometheus text format; safe in a thread."""
    return generate_latest(registry)


def _http(stats: Stats) -> Iterator[Metric]:
    durations = HistogramMetricFamily(
        "http_server_request_duration_seconds",
        "Duration of routed requests, from the first byte received to the last byte sent. "
        "Requests turned away before routing are not counted.",
        labels=(*_HTTP_LABELS, "http_route", "http_response_status_code"),
    )
    for (endpoint, status), histogram in stats.durations.items():
        labels = (*_HTTP_VALUES, endpoint, str(status))
        _add_durations(durations, labels, histogram)
    yield durations
    active = GaugeMetricFamily(
        "http_server_active_requests", "Requests in progress.", labels=_HTTP_LABELS
    )
    active.add_metric(_HTTP_VALUES, stats.in_flight)
    yield active


def _operations(stats: Stats) -> Iterator[Metric | None]:
    duration = HistogramMetricFamily(
        "gen_ai_client_operation_duration_seconds",
        "Duration of attempts at backends, to the last byte; failed ones have an error_type.",
        labels=(*_OPERATION_LABELS, "error_type"),
    )
    first_token = HistogramMetricFamily(
        "gen_ai_server_time_to_first_token_seconds",
        "Time to first token of streams, from the arrival of the request.",
        labels=_OPERATION_LABELS,
    )
    tokens = HistogramMetricFamily(
        "gen_ai_client_token_usage",
        "Tokens per answer, as reported by backends.",
        labels=(*_OPERATION_LABELS, "gen_ai_token_type"),
    )
    for number, (operation, numbers) in enumerate(tuple(stats.operations.items())):
        if number % _SLICE == 0:
            yield None
        labels = _operation_values(operation)
        for error, histogram in numbers.duration.items():
            _add_durations(duration, (*labels, error), histogram)
        if numbers.first_token.count:
            _add_durations(first_token, labels, numbers.first_token)
        if numbers.prompt_tokens.count:
            _add_tokens(tokens, (*labels, "input"), numbers.prompt_tokens)
            _add_tokens(tokens, (*labels, "output"), numbers.completion_tokens)
    yield from (duration, first_token, tokens)


def _totals(stats: Stats) -> Iterator[Metric]:
    overhead = HistogramMetricFamily(
        "nexus_overhead_seconds",
        "Latency added by Nexus up to the first byte of the answer, without waiting for backends.",
        labels=(),
    )
    _add_durations(overhead, (), stats.overhead, _OVERHEADS)
    yield overhead
    for name, help_text, value in (
        ("requests_received", "Valid requests received.", stats.requests),
        ("requests_failed", "Requests failed by Nexus or a backend.", stats.failed),
        ("requests_abandoned", "Requests abandoned by the client.", stats.client_left),
        ("failovers", "Failovers: attempts after the first one of a request.", stats.failovers),
    ):
        yield CounterMetricFamily(f"nexus_{name}", help_text, value)
    refused = CounterMetricFamily(
        "nexus_requests_refused", "Requests turned away before routing.", labels=("code",)
    )
    for code, count in stats.refusals.items():
        refused.add_metric((code,), count)
    yield refused
    reasons = CounterMetricFamily(
        "nexus_route_reasons", "Finished requests by route reason.", labels=("reason",)
    )
    for reason in RouteReason:
        reasons.add_metric((reason.value,), stats.reasons[reason])
    yield reasons


def _backends(stats: Stats, snapshots: Sequence[BackendSnapshot]) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "nexus_backend_attempts", "Attempts sent to a backend.", labels=("backend",)
    )
    errors = CounterMetricFamily(
        "nexus_backend_errors",
        "Failed attempts and interrupted answers.",
        labels=("backend", "error_type"),
    )
    for snapshot in snapshots:
        name, numbers = (snapshot.name,), stats.backends.get(snapshot.name) or BackendStats()
        attempts.add_metric(name, numbers.attempts)
        for error, count in numbers.errors.items():
            errors.add_metric((*name, error), count)
    yield from (attempts, errors)


def _costs(stats: Stats, snapshots: Sequence[BackendSnapshot]) -> Iterator[Metric]:
    cost = CounterMetricFamily(
        "nexus_cost_usd", "Cost of answers with a known price.", labels=("backend",)
    )
    estimated = CounterMetricFamily(
        "nexus_cost_estimated_usd",
        "The part of nexus_cost_usd based on token counts estimated by Nexus.",
        labels=("backend",),
    )
    unpriced = CounterMetricFamily(
        "nexus_unpriced_requests", "Answers without a known price.", labels=("backend",)
    )
    for snapshot in snapshots:
        name, numbers = (snapshot.name,), stats.backends.get(snapshot.name) or BackendStats()
        cost.add_metric(name, numbers.cost_nano_usd / NANO)
        estimated.add_metric(name, numbers.estimated_nano_usd / NANO)
        unpriced.add_metric(name, numbers.unpriced)
    yield from (cost, estimated, unpriced)


def _states(snapshots: Sequence[BackendSnapshot]) -> Iterator[Metric]:
    info = InfoMetricFamily(
        "nexus_backend", "Backend type and zone.", labels=("backend", "type", "zone")
    )
    in_flight = GaugeMetricFamily(
        "nexus_backend_in_flight", "Requests in flight at a backend.", labels=("backend",)
    )
    limit = GaugeMetricFamily(
        "nexus_backend_max_concurrent",
        "Concurrency limit of a backend; absent without a limit.",
        labels=("backend",),
    )
    enabled = GaugeMetricFamily(
        "nexus_backend_enabled", "1 if the backend is switched on, else 0.", labels=("backend",)
    )
    health = GaugeMetricFamily(
        "nexus_backend_health",
        "Backend health by probes: 1 for the current status.",
        labels=("backend", "health"),
    )
    for snapshot in snapshots:
        name = (snapshot.name,)
        info.add_metric((*name, snapshot.type.value, snapshot.zone.value), {})
        in_flight.add_metric(name, snapshot.in_flight)
        if snapshot.max_concurrent is not None:
            limit.add_metric(name, snapshot.max_concurrent)
        enabled.add_metric(name, snapshot.enabled)
        for status in HealthStatus:
            health.add_metric((*name, status.value), snapshot.health is status)
    yield from (info, in_flight, limit, enabled, health)


def _fleet(shared: Shared) -> Iterator[Metric]:
    link = shared.link
    yield GaugeMetricFamily(
        "nexus_fleet_alone",
        "1 while there is no word from the store that replicas share, else 0.",
        link.alone_since is not None,
    )
    yield GaugeMetricFamily(
        "nexus_fleet_beat_seconds",
        "How long the store took for the newest answered beat.",
        link.beat_seconds,
    )
    yield GaugeMetricFamily(
        "nexus_fleet_processes", "Live processes of the fleet, as of the last beat.", link.live
    )
    for name, help_text, value in (
        ("beats", "Answered beats.", link.beats),
        ("calls", "Calls to the store, beats included.", link.calls),
        ("failed_calls", "Calls to the store without an answer in time.", link.failed_calls),
        ("outages", "Times that there was no word from the store for a lease.", link.outages),
    ):
        yield CounterMetricFamily(f"nexus_fleet_{name}", help_text, value)


def _operation_values(operation: OperationKey) -> tuple[str, ...]:
    kind = operation.backend_type
    return (
        _OPERATION_NAMES[operation_at(operation.endpoint)],
        kind.spec.otel_name or kind.value,
        _plain(operation.model),
        operation.backend,
    )


def _plain(name: str) -> str:
    """A backend may list any name: what does not print, or is no Unicode, is written out."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _add_durations(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    histogram: Histogram,
    bounds: Sequence[float] = _DURATIONS,
) -> None:
    counts = histogram.cumulative([bound * 1000 for bound in bounds])
    buckets = [
        *zip(map(_as_bound, bounds), counts, strict=True),
        ("+Inf", histogram.count),
    ]
    family.add_metric(labels, buckets, histogram.sum_ms / 1000)


def _add_tokens(
    family: HistogramMetricFamily, labels: Sequence[str], histogram: TokenHistogram
) -> None:
    bounds = map(_as_bound, TokenHistogram.BOUNDS)
    buckets = [*zip(bounds, histogram.cumulative(), strict=True), ("+Inf", histogram.count)]
    family.add_metric(labels, buckets, histogram.sum)
