"""What a database says that ledgers have spent: no less is counted, whatever the store knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nexus_core.state.leases.recovery import in_accounts
from nexus_core.types import JsonObject


class Floors:
    """Of one month, by account and ledger; told to the store until it has heard them."""

    __slots__ = ("_amounts", "_is_told", "number")

    def __init__(self, amounts: JsonObject, number: int) -> None:
        """`number`: how often there were other ones."""
        self._amounts = amounts
        self._is_told = not amounts
        self.number = number

    @classmethod
    def of(cls, spent: Mapping[str, Mapping[str | None, int]], number: int) -> Floors:
        """From nano-dollars by ledger and client."""
        floors: dict[str, dict[str, str]] = {}
        for ledger, by_client in spent.items():
            for name, nano in in_accounts(by_client).items():
                floors.setdefault(name, {})[ledger] = str(nano)
        return cls({**floors}, number)

    def ended(self) -> Floors:
        """Those of another month: none are known yet."""
        return Floors({}, self.number)

    def report(self, *, is_anew: bool) -> JsonObject:
        """What a beat tells of them; `is_anew`: though they were told."""
        if not self._amounts or (self._is_told and not is_anew):
            return {}
        return {"floors": self._amounts, "floors_told": self.number}

    def hear(self, answer: JsonObject) -> None:
        """The store names those that it was told."""
        if answer.get("floors_told") == self.number:
            self._is_told = True


def beyond(floors: Mapping[str, Any], spent: Mapping[str, Any]) -> int:
    """What ledgers spent above what is known of their owners, as money.lua has it."""
    known = dict[str, int]()
    for owner, nano in spent.items() if floors else ():
        ledger = re.split("[./]", owner, maxsplit=1)[0]
        known[ledger] = known.get(ledger, 0) + int(nano)
    return sum(max(0, int(nano) - known.get(one, 0)) for one, nano in floors.items())
