"""What a probe changes of a backend."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, NamedTuple

from nexus_core.fleet.live import LiveBackend
from nexus_core.types import HealthCause, HealthStatus, ProbeResult

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


class Verdict(NamedTuple):
    """What becomes of a backend by a probe."""

    changes: dict[str, Any]  # of its snapshot
    health: tuple[HealthStatus, HealthCause] | None  # None: as before


def judge(
    entry: LiveBackend, result: ProbeResult, *, failure_threshold: int, recovery_threshold: int
) -> Verdict:
    """Thresholds decide; a refused key counts at once. Counts successes in `entry`."""
    snapshot = entry.snapshot()
    changes: dict[str, Any] = {"probe_ms": result.elapsed_ms}
    if not result.ok:
        entry.consecutive_successes = 0
        failures = changes["consecutive_failures"] = snapshot.consecutive_failures + 1
        is_down = result.cause is HealthCause.AUTH or failures >= failure_threshold
        return Verdict(changes, (HealthStatus.UNHEALTHY, result.cause) if is_down else None)
    entry.consecutive_successes += 1
    changes["consecutive_failures"] = 0
    if not entry.configured_models and result.models is not None:
        sound = filter(_is_unicode, result.models)
        served = MappingProxyType({model: model for model in sound})
        # The same list is kept as the same value: nobody is told of it again.
        changes["models"] = snapshot.models if served == snapshot.models else served
        changes["models_known"] = True
    elif result.never_lists:
        changes["models_known"] = True  # whatever they were so far
    if result.details is not None:
        changes["details"] = MappingProxyType(dict(result.details))
    is_new = snapshot.health is HealthStatus.UNKNOWN
    is_well = is_new or entry.consecutive_successes >= recovery_threshold
    return Verdict(changes, (HealthStatus.HEALTHY, HealthCause.NONE) if is_well else None)


def _is_unicode(name: str) -> bool:
    """JSON may name half a character, which no answer of ours could repeat."""
    return name.isascii() or _HALF_A_CHARACTER.search(name) is None
