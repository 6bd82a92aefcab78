"""What a request needs of limits that processes share, before it goes to a backend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from nexus_core.fleet.registry import Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.proxy.progress import RequestProgress
from nexus_core.routing.router import Choice, RouteDecision
from nexus_core.routing.stages import Stage
from nexus_core.state.leases.account import MoneyLease
from nexus_core.state.leases.counts import Count, Counts
from nexus_core.state.leases.money import MoneyLeases

_Money = tuple[tuple[MoneyLease, ...], int]  # accounts, and the estimate in nano-dollars


class Leases:
    """Slots and money of backends, leased from the store; one for the life of the process.

    A request holds a slot of the registry when it asks here: what is in use and not leased is asked
    for, once, and nothing is sent before it was granted.
    """

    def __init__(
        self, registry: Registry, cost_tracker: CostTracker, counts: Counts, money: MoneyLeases
    ) -> None:
        self._registry = registry
        self._cost_tracker = cost_tracker
        self._counts = counts
        self._money = money
        self._slots: dict[str, Count] = {}
        self._version = -1
        self._is_granting = False  # what the registry tells of is no release
        self._awaited: set[str] = set()  # backends of whose slots others wait for one
        registry.wakes.on_version(self._follow)
        self._follow()

    # --- what requests ask ---------------------------------------------------------------

    def cover(self, progress: RequestProgress, choice: Choice) -> bool:
        """Whether the request may be sent without asking."""
        counts, slot = self._counts, self._slots.get(choice.backend.name)
        is_fresh = counts.term.clock() <= counts.term.fresh_until
        if slot is not None:
            has_slot = slot.stays_within(slot.held) if is_fresh else counts.covers(slot)
            if not has_slot:
                return False
        need = self._need(progress, choice)
        return need is None or self._money.covers(*need, is_fresh)

    async def obtain(self, progress: RequestProgress, choice: Choice) -> bool:
        """Ask for what is lacking; what is granted holds until something else is awaited."""
        slot, need = self._slots.get(choice.backend.name), self._need(progress, choice)
        lacks_slot = slot is not None and not self._counts.covers(slot)
        lacks_money = need is not None and not self._money.covers(*need)
        has_slot = has_money = True
        if lacks_slot and lacks_money:
            async with asyncio.TaskGroup() as tasks:  # both go in one call
                asking = tasks.create_task(self._obtain_slot(slot))
                has_money = await self._obtain_money(need)
            has_slot = asking.result()
        elif lacks_slot:
            has_slot = await self._obtain_slot(slot)
        if not (has_slot and has_money):
            return False
        # Whoever waited for a slot holds it, but others may have used the money meanwhile.
        has_money = need is None or self._money.covers(*need)
        return has_money or await self._obtain_money(need)

    async def _obtain_slot(self, slot: Count | None) -> bool:
        return slot is None or await self._counts.obtain(slot)

    async def _obtain_money(self, need: _Money | None) -> bool:
        return need is None or await self._money.obtain(*need)

    def _need(self, progress: RequestProgress, choice: Choice) -> _Money | None:
        if not choice.backend.type.is_cloud:
            return None
        budget = self._cost_tracker.budget
        leases = budget.leases.get(progress.request.client, budget.leases_of_all)
        if not leases:
            return None
        at = progress.now()
        cost = progress.estimated(choice.backend, choice.upstream_model, at).cost
        return leases, 0 if cost is None else cost.nano_usd

    def waits(self, decision: RouteDecision, more: int) -> None:
        """A request begins (1) or ends (-1) to wait for one of these backends."""
        for drop in decision.waits_for:
            slot = self._slots.get(drop.backend.name)
            if slot is not None and Stage.CAPACITY in (drop.stage, *drop.also):
                self._counts.wait(slot, more)

    def lacks_word(self, decision: RouteDecision) -> bool:
        """Whether only word from the store of a backend's slots is wanting."""
        slots = (
            self._slots.get(drop.backend.name)
            for drop in decision.waits_for
            if Stage.CAPACITY in (drop.stage, *drop.also)
        )
        return any(slot is not None and self._counts.lacks_word(slot) for slot in slots)

    # --- backends ------------------------------------------------------------------------

    def _has_freed(self, name: str | None) -> None:
        slot = None if name is None else self._slots.get(name)
        if slot is not None and not self._is_granting:
            self._counts.released(slot)

    def _heed(self, name: str, slot: Count | None) -> None:
        """Listen while others wait for slots of a backend; None: it is no more.

        Before the queue: a slot that others have a right to is not handed on here.
        """
        was_awaited = bool(self._awaited)
        if slot is not None and slot.others_wait:
            self._awaited.add(name)
        else:
            self._awaited.discard(name)
        if self._awaited and not was_awaited:
            self._registry.wakes.on(self._has_freed, is_first=True)
        elif was_awaited and not self._awaited:
            self._registry.wakes.off(self._has_freed)

    def _follow(self) -> None:
        """Hold the limits that backends have now."""
        if self._registry.version == self._version:
            return
        limits = {one.name: one.max_concurrent for one in self._registry.snapshots()}
        for name in [*self._slots]:
            if limits.get(name) is None:
                self._counts.drop(self._slots.pop(name).name)
                self._heed(name, None)
                self._registry.limit_slots(name, None)
        for name, most in limits.items():
            if most is None:
                continue
            slot = self._slots.get(name)
            if slot is None:
                self._slots[name] = slot = self._count(name, most)
                self._counts.share(slot)
            else:
                slot.most, slot.used = most, self._used(name)
                slot.changed()
        self._version = self._registry.version

    def _count(self, name: str, most: int) -> Count:
        def changed() -> None:
            if self._slots.get(name) is not count:
                return  # the backend was removed while the store was asked
            self._heed(name, count)
            slots = self._counts.may_try(count)
            self._is_granting = True
            try:
                self._registry.limit_slots(name, None if slots >= count.most else slots)
            finally:
                self._is_granting = False

        count = Count(f"slots:{name}", most, self._used(name), changed)
        return count

    def _used(self, name: str) -> Callable[[], int]:
        """What counts a backend's slots in use, until the registry has another version."""
        return partial(len, self._registry.taken(name))
