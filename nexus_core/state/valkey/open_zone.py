"""The permission to use the open zone: a lease that each beat renews, and that silence ends.

Cut off from the store is cut off from the cloud: a process that can't hear of a cut makes none
necessary. In quarantine it is not renewed, so that whoever knows of a cut writes it back first.
"""

from __future__ import annotations

from collections.abc import Callable

from nexus_core.state.base import Link
from nexus_core.state.clock import lease_clock
from nexus_core.types import JsonObject


class OpenZone:
    """The lease of this process; `permits` is asked right before bytes leave."""

    name = "open_zone"

    def __init__(
        self,
        link: Link,
        lease_seconds: float,
        close: Callable[[bool], None],
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        """
        Args:
            close: closes the zone with True, and opens it with False; called at each change.
        """
        self._link = link
        self._lease = lease_seconds
        self._close = close
        self._clock = clock
        self._until = clock() - 1
        self._is_closed = True
        close(True)

    def permits(self) -> bool:
        """Whether the zone may be used in this moment; a lapse is told at once."""
        if self._clock() < self._until:
            return True
        self._lapse()
        return False

    def report(self) -> JsonObject:
        return {}

    def accept(self, answer: JsonObject, sent: float) -> None:
        """A beat that was answered later than a lease after it was sent grants nothing.

        Nor does one that brought switches which can't be read here: one of them may be a cut.
        """
        if not self._link.restores and self._link.is_understood:
            self._until = max(self._until, sent + self._lease)
        if self._clock() >= self._until:
            self._lapse()
        elif self._is_closed:
            self._is_closed = False
            self._close(False)

    def cut_off(self, since: float) -> None:
        self._lapse()

    def _lapse(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._close(True)
