"""The bounded queue of requests that wait for a busy backend."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from nexus_core.config.schema import QueueConfig
from nexus_core.fleet.registry import Registry
from nexus_core.routing.router import RouteDecision


class QueueFullError(Exception):
    """The queue is full."""


class _Waiter(msgspec.Struct, frozen=True, eq=False):
    decide: Callable[[], RouteDecision]
    turn: asyncio.Future[RouteDecision]


class WaitingRoom:
    """The queue: first in, first out within a priority, high before normal.

    A slot that becomes free is taken for the first who can use it in the same turn of the loop, so
    that no newcomer gets in between.
    """

    def __init__(self, config: QueueConfig, registry: Registry) -> None:
        self._config = config
        self._registry = registry
        self._high: deque[_Waiter] = deque()
        self._normal: deque[_Waiter] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._listens = False
        # Told of each request that begins (1) or ends (-1) to wait, with what it waits for.
        self.on_wait: Callable[[RouteDecision, int], None] | None = None

    def __len__(self) -> int:
        return len(self._high) + len(self._normal)

    @property
    def wait_seconds(self) -> float | None:
        """How long one more request may wait; None where there is no room."""
        is_full = len(self) >= self._config.max_size
        return None if is_full else self._config.max_wait_seconds

    def end_of_wait(self) -> float:
        """Until when a request that begins to wait now may do so, by the loop's time."""
        return asyncio.get_running_loop().time() + self._config.max_wait_seconds

    async def wait(
        self,
        decision: RouteDecision,
        decide: Callable[[], RouteDecision],
        *,
        is_high: bool,
        until: float | None = None,
    ) -> RouteDecision:
        """Wait for a decision with a candidate, whose slot is then held for the caller.

        One without a candidate comes back as soon as waiting can't help any more.

        Args:
            decision: the one that found none.
            decide: makes another.
            until: the loop's time at which to give up; None: after `max_wait_seconds`.

        Raises:
            QueueFullError: there is no room.
            TimeoutError: that time is over.
        """
        if len(self) >= self._config.max_size:
            raise QueueFullError
        queue = self._high if is_high else self._normal
        waiter = _Waiter(decide, asyncio.get_running_loop().create_future())
        queue.append(waiter)
        self._listen(True)
        self._look_again_after_cooldowns(decision)
        if self.on_wait is not None:
            self.on_wait(decision, 1)
        try:
            async with asyncio.timeout_at(self.end_of_wait() if until is None else until):
                return await waiter.turn
        except BaseException:
            is_over = waiter.turn.done() and not waiter.turn.cancelled()
            first = waiter.turn.result().first if is_over else None
            if first is not None:
                # Its turn came in the moment it gave up: the slot goes to the next.
                self._registry.release(first.backend.name, first.half_open_model)
            raise
        finally:
            if self.on_wait is not None:
                self.on_wait(decision, -1)
            if waiter in queue:
                queue.remove(waiter)
            if not len(self):
                self._listen(False)
            if self._alarm is not None and not len(self):
                self._alarm.cancel()
                self._alarm = None

    def _listen(self, listens: bool) -> None:
        """Hear of what becomes free, or not: only where somebody waits for it."""
        if listens is not self._listens:
            self._listens = listens
            wakes = self._registry.wakes
            (wakes.on if listens else wakes.off)(self._serve)

    def _serve(self, freed: str | None) -> None:
        """Give what is free to those who wait longest.

        Args:
            freed: the backend with a free slot; None when anything may have changed.
        """
        if not (self._high or self._normal):
            return
        for queue in (self._high, self._normal):
            for waiter in tuple(queue):
                if freed is not None and self._registry.snapshot(freed).is_full:
                    return
                if waiter.turn.done():
                    continue
                decision = waiter.decide()
                if (first := decision.first) is not None:
                    self._registry.acquire(first.backend.name, first.half_open_model)
                elif decision.waits_for:
                    self._look_again_after_cooldowns(decision)
                    continue
                queue.remove(waiter)
                waiter.turn.set_result(decision)

    def _look_again_after_cooldowns(self, decision: RouteDecision) -> None:
        """No event marks the end of a cooldown's time: set the alarm for the first waited for."""
        at = self._registry.clock()
        seconds = (drop.cooldown_seconds(at) for drop in decision.waits_for)
        rests = [rest for rest in seconds if rest > 0]
        if not rests:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + min(rests)
        if self._alarm is not None:
            if self._alarm.when() <= when:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._serve(None)
