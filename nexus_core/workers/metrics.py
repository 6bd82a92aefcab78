"""Metrics of several workers as those of one; import it late, as it brings prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from nexus_core.api.metrics import CONTENT_TYPE, CountsCollector
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.observe.stats import Stats

__all__ = ["CONTENT_TYPE", "sum_metrics"]

# What each worker has a part of; all have the rest in common, or each its own.
_SUMMED = frozenset(
    {"nexus_queued_requests", "http_server_active_requests", "nexus_backend_in_flight"}
)
# What is one of the replica's, as each worker sees it.
_COMMON = frozenset(
    {"nexus_backend_max_concurrent", "nexus_backend_enabled", "nexus_backend_health"}
)
_WORST = frozenset({"nexus_fleet_alone"})

_Labels = tuple[tuple[str, str], ...]


def sum_metrics(
    texts: Sequence[tuple[int, str]],
    past: Sequence[Stats],
    snapshots: Sequence[BackendSnapshot],
    restarts: int,
    before: Sequence[Metric] = (),
) -> bytes:
    """The metrics of several workers, in Prometheus text format.

    Counters and histograms are summed; so are gauges of what is shared out among workers. Any
    other gauge has a label `worker`.

    Args:
        texts: the number of a worker, and its metrics.
        past: what those counted that are gone.
        snapshots: the backends, by whose names that is told.
        restarts: workers that were replaced.
        before: what `told_by_those_gone` gave.
    """
    families: dict[str, _Family] = {}
    for number, text in texts:
        for metric in text_string_to_metric_families(text):
            families.setdefault(metric.name, _Family(metric)).add(metric, number)
    for metric in before:
        families.setdefault(metric.name, _Family(metric)).add(metric, 0)
    for stats in past:
        for metric in CountsCollector(stats, snapshots).collect():
            families.setdefault(metric.name, _Family(metric)).add(metric, 0)
    ours = (
        GaugeMetricFamily("nexus_workers", "Workers that serve.", len(texts)),
        CounterMetricFamily(
            "nexus_worker_restarts", "Workers that ended and were replaced.", restarts
        ),
    )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Made([*(family.made() for family in families.values()), *ours]))
    return generate_latest(registry)


def told_by_those_gone(before: Sequence[Metric], texts: Sequence[str]) -> list[Metric]:
    """Counters that workers told and their statistics don't have, so that no sum falls.

    Args:
        before: what this gave the last time.
        texts: the last metrics of those that ended since.
    """
    known = {metric.name for metric in CountsCollector(Stats(), ()).collect()}
    families = {metric.name: _Family(metric) for metric in before}
    for metric in before:
        families[metric.name].add(metric, 0)
    for text in texts:
        for metric in text_string_to_metric_families(text):
            if metric.type == "counter" and metric.name not in known:
                families.setdefault(metric.name, _Family(metric)).add(metric, 0)
    return [family.made() for family in families.values()]


class _Made(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Family:
    """One metric, of one worker after the other."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._join = _join_of(metric)
        self._samples: dict[tuple[str, _Labels], float] = {}

    def add(self, metric: Metric, number: int) -> None:
        """Take in those of the worker of this number."""
        for sample in metric.samples:
            labels = tuple(sorted(sample.labels.items()))  # as a text has them
            if self._join is None:
                labels = (*labels, ("worker", str(number)))
            key = (sample.name, labels)
            before = self._samples.get(key)
            if before is None or self._join is None:
                self._samples[key] = sample.value
            else:
                self._samples[key] = self._join(before, sample.value)

    def made(self) -> Metric:
        """All of them as one."""
        metric = Metric(self._metric.name, self._metric.documentation, self._metric.type)
        metric.samples = [
            Sample(name, dict(labels), value) for (name, labels), value in self._samples.items()
        ]
        return metric


def _join_of(metric: Metric) -> Callable[[float, float], float] | None:
    """What two workers' values come to; None: each stands for itself."""
    if metric.type in ("counter", "histogram") or metric.name in _SUMMED:
        return _sum
    if metric.name in _COMMON or metric.name.endswith("_info"):
        return _first
    if metric.type == "info":
        return _first
    return max if metric.name in _WORST else None


def _sum(one: float, other: float) -> float:
    return one + other


def _first(one: float, _: float) -> float:
    return one
