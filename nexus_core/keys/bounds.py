"""What [limits] says of client keys, together with what a created key's own limits are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nexus_core.config.sections.limits import LimitsConfig
from nexus_core.keys.held import HeldKey
from nexus_core.keys.key import NO_LIMITS, Limits, StoredKey
from nexus_core.keys.meter import KeyMeter


class Bounds:
    """The strictest of each limit."""

    def __init__(
        self,
        config: LimitsConfig | None = None,
        share: Callable[[str, KeyMeter], None] | None = None,
    ) -> None:
        """`share` has a key's meter share its limits with other processes; None: none does."""
        self._config = config or LimitsConfig()
        self._share = share

    def put_on(self, meter: KeyMeter, name: str, limits: Limits = NO_LIMITS) -> None:
        """Have a key's meter hold them; what is used stays used."""
        others = self._config.of(name)
        if self._share is not None and meter.shared is None:
            self._share(name, meter)
        meter.configure(
            rpm=_strictest(limits.rpm, others.requests_per_minute),
            tpm=_strictest(limits.tpm, others.tokens_per_minute),
            parallel=_strictest(limits.parallel, others.max_concurrent),
        )


def limited_ones(
    bounds: Bounds,
    names: Iterable[str],
    before: Mapping[str, HeldKey],
    clock: Callable[[], int],
) -> dict[str, HeldKey]:
    """Keys of the environment that have a limit, by name.

    Args:
        names: of all keys of the environment.
        before: those that had one, whose use goes on.
        clock: monotonic nanoseconds.
    """
    found = dict[str, HeldKey]()
    for name in names:
        held = before.get(name)
        if held is None:
            stored = StoredKey(id="", name=name, digest=b"", created=0.0)
            held = HeldKey(stored, KeyMeter(), clock)
        bounds.put_on(held.meter, name)
        if held.meter.is_limited:
            found[name] = held
    return found


def _strictest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
