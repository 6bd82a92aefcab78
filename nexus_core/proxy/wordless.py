"""Wait for a backend that only want of word from the fleet's store keeps away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from nexus_core.fleet.registry import Registry
from nexus_core.routing.refusal import lacks_word
from nexus_core.routing.router import RouteDecision

if TYPE_CHECKING:
    from nexus_core.proxy.leases import Leases

WAIT_SECONDS = 2.0  # hides a restart of the store, and no more; then 503
_SLACK_SECONDS = 1.0  # after which a share of slots is there for sure


class Wordless:
    """Where requests wait for the open zone, limited money or shared slots; made once in a fleet.

    Cut off, zone and budget stay closed, so that they are awaited for a moment only. Slots are
    there again when the others count this process as dead.
    """

    def __init__(self, registry: Registry, dead_after: float) -> None:
        """`dead_after`: seconds after which others count a silent process as dead."""
        self._slot_seconds = dead_after + _SLACK_SECONDS
        self._wakes = registry.wakes
        self._changed: asyncio.Future[None] | None = None  # while somebody waits

    async def wait(
        self,
        decision: RouteDecision,
        decide: Callable[[], RouteDecision],
        leases: Leases | None,
    ) -> RouteDecision:
        """The first decision with a candidate, or that need not wait; else the last in time.

        Args:
            decision: the one that found none.
            decide: makes another, and takes the slot of its candidate.
            leases: tell whether slots are wanting for want of word.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        while decision.first is None:
            if leases is not None and leases.lacks_word(decision):
                seconds = self._slot_seconds
            elif lacks_word(decision):
                seconds = WAIT_SECONDS
            else:
                break
            try:
                async with asyncio.timeout_at(started + seconds):
                    await self._change()
            except TimeoutError:
                break
            decision = decide()
        return decision

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
            self._wakes.on(self.tell)
        await asyncio.shield(self._changed)

    def tell(self, _freed: str | None = None) -> None:
        """Something has changed: whoever waits looks again."""
        if self._changed is not None:
            self._wakes.off(self.tell)
            self._changed.set_result(None)
            self._changed = None
