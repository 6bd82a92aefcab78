"""Client keys of several workers: what each has seen of a key's use is added up."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.types import JsonObject

_SUMMED = frozenset({"requests_this_minute", "tokens_this_minute", "under_way", "reserved_usd"})
# Each knows what all have spent and used of limits, some later.
_NEWEST = frozenset({"spent_usd", "last_used", "rpm_used", "tpm_used"})


def sum_keys(told: Sequence[JsonObject]) -> JsonObject:
    """The list of keys, as several workers tell it."""
    first = told[0]
    return {
        **first,
        "keys": _summed([one["keys"] for one in told]),
        "environment": _summed([one["environment"] for one in told]),
    }


def _summed(lists: Sequence[list[JsonObject]]) -> list[JsonObject]:
    by_name: dict[str, list[JsonObject]] = {}
    for keys in lists:
        for key in keys:
            by_name.setdefault(key["name"], []).append(key)
    return [sum_key(seen) for seen in by_name.values()]


def sum_key(seen: Sequence[JsonObject]) -> JsonObject:
    """One key, as several workers tell it."""
    first = seen[0]
    used = [one["used"] for one in seen]
    return {**first, "used": {name: _used(name, used) for name in used[0]}}


def _used(name: str, used: Sequence[JsonObject]) -> object:
    known = [one[name] for one in used if one.get(name) is not None]
    if not known:
        return None
    if name in _SUMMED:
        return sum(known)
    return max(known) if name in _NEWEST else known[0]
