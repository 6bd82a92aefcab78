"""Live state of a backend: a frozen snapshot, and beside it what every request changes."""

from __future__ import annotations

from collections import deque

from msgspec.structs import replace

from nexus_core.config.schema import BackendConfig
from nexus_core.fleet.snapshot import BackendSnapshot, first_snapshot

_SMOOTHING = 0.2  # the newest value's share of a moving average


class LiveBackend:
    """A backend that requests use; only the registry writes it.

    A new snapshot costs as much as the rest of a request's way through routing: so it is made when
    somebody looks, and requests read the numbers that stand here.
    """

    __slots__ = (
        *("configured_models", "consecutive_successes", "frozen"),
        *("is_stale", "latency_ms", "service_seconds", "taken"),
    )

    def __init__(
        self,
        frozen: BackendSnapshot,
        *,
        configured_models: bool,
        taken: deque[float] | None = None,
    ) -> None:
        """
        Args:
            taken: when each slot in use was taken; shared with another view of the same backend.
        """
        # The backend but for what requests change: those fields are old while `is_stale`.
        self.frozen = frozen
        self.is_stale = False
        self.configured_models = configured_models  # else it lists its own
        self.consecutive_successes = 0  # of probes
        self.taken: deque[float] = deque() if taken is None else taken
        self.latency_ms = frozen.latency_ms
        self.service_seconds = frozen.service_seconds

    @classmethod
    def of(cls, config: BackendConfig) -> LiveBackend:
        """A new backend."""
        return cls(first_snapshot(config), configured_models=config.models is not None)

    def snapshot(self) -> BackendSnapshot:
        """The backend as it is now."""
        if self.is_stale:
            self.is_stale = False
            self.frozen = with_load(
                self.frozen, len(self.taken), self.latency_ms, self.service_seconds
            )
        return self.frozen

    def take(self, at: float) -> None:
        """A slot is taken, at a monotonic time."""
        self.taken.append(at)
        self.is_stale = True

    def give_back(self, at: float) -> None:
        """A slot is free again; which of them does not matter to the average over all."""
        seconds = at - self.taken.popleft()
        average = self.service_seconds
        self.service_seconds = (
            seconds if average is None else average + _SMOOTHING * (seconds - average)
        )
        self.is_stale = True

    def answered(self, first_byte_ms: float) -> None:
        """An answer began after this time."""
        average = self.latency_ms
        self.latency_ms = (
            first_byte_ms if average is None else average + _SMOOTHING * (first_byte_ms - average)
        )
        self.is_stale = True


def with_load(
    frozen: BackendSnapshot, in_flight: int, latency_ms: float | None, service_seconds: float | None
) -> BackendSnapshot:
    """The backend with other numbers of what requests change."""
    return replace(
        frozen, in_flight=in_flight, latency_ms=latency_ms, service_seconds=service_seconds
    )
