"""Wait for a backend while the open zone is closed for want of word from the fleet's store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nexus_core.fleet.registry import Registry
from nexus_core.routing.refusal import is_cut_off
from nexus_core.routing.router import RouteDecision

WAIT_SECONDS = 2.0  # hides a restart of the store, and no more; then 503


class ClosedZone:
    """Where requests wait that only open backends could serve; made once there is a fleet."""

    def __init__(self, registry: Registry) -> None:
        self._changed: asyncio.Future[None] | None = None
        registry.on_change(self._tell)

    async def wait(
        self, decision: RouteDecision, decide: Callable[[], RouteDecision]
    ) -> RouteDecision:
        """The first decision with a candidate, or that need not wait; else the last in time.

        Args:
            decision: the one that found none.
            decide: makes another, and takes the slot of its candidate.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while decision.first is None and is_cut_off(decision):
                    await self._change()
                    decision = decide()
        except TimeoutError:
            pass
        return decision

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def _tell(self, _: str | None) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None
