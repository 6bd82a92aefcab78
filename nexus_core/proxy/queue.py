"""The bounded waiting room for requests that find every backend busy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nexus_core.config import QueueConfig
from nexus_core.registry import Registry
from nexus_core.routing.router import RouteDecision


class QueueFullError(Exception):
    """As many requests wait as may."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    decide: Callable[[], RouteDecision]
    turn: asyncio.Future[RouteDecision]


class WaitingRoom:
    """First in, first out within a priority, high before normal; woken by a freed slot.

    A slot that becomes free is taken for the first who can use it in the same turn of the loop, so
    that no newcomer gets in between.
    """

    def __init__(self, config: QueueConfig, registry: Registry) -> None:
        self._config = config
        self._registry = registry
        self._high: deque[_Waiter] = deque()
        self._normal: deque[_Waiter] = deque()
        registry.on_change(self._serve)

    def __len__(self) -> int:
        return len(self._high) + len(self._normal)

    async def wait(
        self,
        decide: Callable[[], RouteDecision],
        *,
        is_high: bool,
        rest_seconds: float | None = None,
    ) -> RouteDecision:
        """Wait for a decision with a candidate, whose slot is then held for the caller.

        One without a candidate comes back as soon as waiting can't help any more.

        Args:
            rest_seconds: when a backend that rests may be asked again, if one does.

        Raises:
            QueueFullError: there is no room.
            TimeoutError: `max_wait_seconds` are over.
        """
        if len(self) >= self._config.max_size:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        queue = self._high if is_high else self._normal
        waiter = _Waiter(decide, loop.create_future())
        alarm = None if rest_seconds is None else loop.call_later(rest_seconds, self._serve, None)
        queue.append(waiter)
        try:
            async with asyncio.timeout(self._config.max_wait_seconds):
                return await waiter.turn
        except BaseException:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.result().order:
                # Its turn came in the moment it gave up: the slot goes to the next.
                self._registry.release(waiter.turn.result().order[0].backend.name)
            raise
        finally:
            if waiter in queue:
                queue.remove(waiter)
            if alarm is not None:
                alarm.cancel()

    def _serve(self, freed: str | None) -> None:
        """Give what is free to those who wait longest.

        Args:
            freed: the backend with a free slot; None when anything may have changed.
        """
        for queue in (self._high, self._normal):
            for waiter in tuple(queue):
                if freed is not None and self._registry.snapshot(freed).is_full:
                    return
                if waiter.turn.done():
                    continue
                decision = waiter.decide()
                if decision.order:
                    self._registry.acquire(decision.order[0].backend.name)
                elif decision.waits_for:
                    continue
                queue.remove(waiter)
                waiter.turn.set_result(decision)
