"""The client keys of several replicas as one list: what is used of a key is summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nexus_tui.sources.client_keys import ClientKey, KeyList, Used


def sum_keys(told: Sequence[KeyList]) -> KeyList:
    """Each key once, as the first one that knows it tells it; one list at least."""
    found: dict[str, ClientKey] = {}
    for key in (key for one in told for key in one.keys):
        known = found.get(key.name)
        found[key.name] = key if known is None else replace(known, used=_sum(known.used, key.used))
    problem = next((one.problem for one in told if one.problem is not None), None)
    return KeyList(tuple(found.values()), problem)


def _sum(one: Used, other: Used) -> Used:
    """Requests are those of each replica; money and limits are the fleet's, as all of it know."""
    return replace(
        one,
        requests=one.requests + other.requests,
        tokens=one.tokens + other.tokens,
        under_way=one.under_way + other.under_way,
        rpm=_largest(one.rpm, other.rpm),
        tpm=_largest(one.tpm, other.tpm),
        spent_usd=max(one.spent_usd, other.spent_usd),
        reserved_usd=max(one.reserved_usd, other.reserved_usd),
        last=max((at for at in (one.last, other.last) if at is not None), default=None),
    )


def _largest(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)
