"""In whose name a process counts money, and what its ledger lacks after a crash. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nexus_core.state.leases.lease import table
from nexus_core.types import JsonObject

EVERYBODY = "*"  # the account of the whole gateway
_KEY = "key:"  # before the name of a client key
Spent = tuple[str, dict[str, int]]  # a month, and what an owner has spent in it, by account
LOST, PRESUMED = "lost in a crash", "presumed"


def account_of(client: str | None) -> str:
    """The name of a client's account, of all for None."""
    return EVERYBODY if client is None else f"{_KEY}{client}"


class Recovered(NamedTuple):
    """What the ledger lacks of a client's spending after a crash."""

    client: str | None
    nano_usd: int
    why: str  # LOST: it was told, and is in no row; PRESUMED: it may have been spent untold


class Identity(NamedTuple):
    """In whose name this process counts."""

    ledger: str  # id of the ledger that holds its rows
    worker: int | None = None  # its number among those that share the ledger
    boot: str = ""  # the start of the whole replica; "": of this process
    # By account, what the process before it under this name had spent at its end; None: not known.
    at_end: Mapping[str, int] | None = None

    @property
    def owner(self) -> str:
        return self.ledger if self.worker is None else f"{self.ledger}.{self.worker}"


class Before(NamedTuple):
    """From where an owner counts on, by account."""

    bases: Mapping[str, int]  # what it has spent
    added: Mapping[str, int]  # what was missing in the ledger
    missing: tuple[Recovered, ...]


def recover(
    found: Mapping[str, JsonObject],
    ledger: Mapping[str, int],
    owner: str,
    *,
    is_first: bool,
    at_end: Mapping[str, int] | None = None,
) -> Before:
    """Make ledger and counters agree after a start.

    What was told and is in no row was lost in a crash. What might have been spent without being
    told, up to the ceiling, is presumed to be: rather too much than too little.

    Args:
        found: by account, what the store knows of this owner and the others of its ledger.
        ledger: by account, what it says.
        is_first: it is the first process of its ledger since all of them had ended; else rows of
            the others come in meanwhile, and the ledger is not compared.
        at_end: by account, what this owner had spent when it ended: its rows say so, and what of it
            was not told is none of what may have been spent untold.
    """
    lost, presumed = dict[str, int](), dict[str, int]()
    own, siblings, known_of = dict[str, int](), dict[str, int](), dict[str, int]()
    if not _knows(found.get(EVERYBODY, {}), owner):
        at_end = None  # the store lost its data: who was first counts all that the ledger says
    for name in {*found, *ledger, EVERYBODY}:
        known = found.get(name, {})
        spent = {who: int(nano) for who, nano in table(known.get("spent")).items()}
        ceiling = int(table(known.get("granted")).get(owner, "0"))
        own[name] = spent.pop(owner, 0)
        siblings[name] = sum(spent.values())
        counted = own[name]
        if at_end is not None:
            counted = max(counted, at_end.get(name, 0))
        if is_first:
            lost[name] = max(0, own[name] + siblings[name] - ledger.get(name, 0))
            counted = own[name] + max(0, ledger.get(name, 0) - own[name] - siblings[name])
        presumed[name] = max(0, ceiling - counted)
        known_of[name] = counted
    missing = (*_rows(lost, LOST), *_rows(presumed, PRESUMED))
    added = _by_account(missing)
    after = {name: ledger.get(name, 0) + added.get(name, 0) for name in own}
    bases = {
        name: after[name] - siblings[name] if is_first else known_of[name] + added.get(name, 0)
        for name in own
    }
    return Before(bases, added, missing)


def _knows(account: JsonObject, owner: str) -> bool:
    return any(owner in table(account.get(told)) for told in ("spent", "granted"))


def in_accounts(by_client: Mapping[str | None, int]) -> dict[str, int]:
    """Amounts by account, that of all included."""
    clients = {f"{_KEY}{name}": nano for name, nano in by_client.items() if name is not None}
    return {**clients, EVERYBODY: sum(by_client.values())}


def _rows(amounts: Mapping[str, int], why: str) -> list[Recovered]:
    """By client; what is nobody's in particular is in a row of its own."""
    rows = [
        Recovered(name.removeprefix(_KEY), nano, why)
        for name, nano in sorted(amounts.items())
        if nano and name != EVERYBODY
    ]
    rest = amounts.get(EVERYBODY, 0) - sum(row.nano_usd for row in rows)
    return [*rows, Recovered(None, rest, why)] if rest > 0 else rows


def _by_account(rows: Iterable[Recovered]) -> dict[str, int]:
    sums = {EVERYBODY: 0}
    for client, nano, _ in rows:
        sums[EVERYBODY] += nano
        if client is not None:
            name = f"{_KEY}{client}"
            sums[name] = sums.get(name, 0) + nano
    return sums
