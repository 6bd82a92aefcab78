"""Use of client keys: requests under way, those of the last minute, and when the last one came."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from itertools import takewhile

from nexus_core.keys.as_json import Use
from nexus_core.observe.requests import RecentRequests

_MINUTE_SECONDS = 60.0
_LOOK_SECONDS = 60.0  # between two looks into the ledger
_DUTY = 0.01  # share of the time that these may take, however large it is


class KeyUse:
    """What is done with each client key; looked for when somebody asks, and never before."""

    def __init__(
        self,
        recent: Callable[[], RecentRequests],
        under_way: Callable[[], Mapping[str | None, int]],
        last_of_ledger: Callable[[], Awaitable[Mapping[str, float]]],
        now: Callable[[], float],
    ) -> None:
        """
        Args:
            recent: gives the newest requests.
            under_way: gives the number of requests under way of each client.
            last_of_ledger: gives when each client's last request came, as the ledger tells it.
            now: seconds since the epoch.
        """
        self._recent = recent
        self._under_way = under_way
        self._last_of_ledger = last_of_ledger
        self._now = now
        self._last: dict[str, float] = {}
        self._seq = -1  # of the newest request that was looked at
        self._look_at = float("-inf")  # monotonic seconds

    async def look(self) -> None:
        """Learn from the ledger what this process does not know; now and then only."""
        began = time.monotonic()
        if began < self._look_at:
            return
        self._look_at = began + _LOOK_SECONDS
        for client, at in (await self._last_of_ledger()).items():
            self._last[client] = max(at, self._last.get(client, at))
        took = time.monotonic() - began
        self._look_at = max(self._look_at, began + took / _DUTY)

    def by_client(self) -> Callable[[str], Use]:
        """What gives the use of each key, as of now."""
        recent, since = self._recent(), self._now() - _MINUTE_SECONDS
        requests, tokens = Counter[str](), Counter[str]()
        for record in takewhile(lambda one: one.at >= since, recent.newest(recent.capacity)):
            if record.client is not None:
                requests[record.client] += 1
                tokens[record.client] += record.tokens or 0
        for record in recent.since(self._seq):
            self._seq = record.seq
            if record.client is not None:
                self._last[record.client] = max(record.at, self._last.get(record.client, 0.0))
        under_way, last = self._under_way(), self._last

        def use(name: str) -> Use:
            return Use(requests[name], tokens[name], under_way.get(name, 0), last.get(name))

        return use
