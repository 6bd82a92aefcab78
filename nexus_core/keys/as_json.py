"""A created key as JSON: its limits and what is used of them; never its secret or digest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from nexus_core.keys.key import StoredKey
from nexus_core.keys.meter import KeyMeter
from nexus_core.types import NANO, JsonObject


class Use(NamedTuple):
    """What is done with a key, whether it has limits or not."""

    requests: int = 0  # of the last minute
    tokens: int = 0  # of those requests, as far as they are known
    under_way: int = 0
    last: float | None = None  # when its last request came, in seconds since the epoch


def as_json(key: StoredKey, at: float) -> JsonObject:
    """A key at a moment, in seconds since the epoch; limits that are null limit nothing."""
    limits = key.limits
    has_old = key.old_digest is not None and at < key.old_until
    return {
        "name": key.name,
        "id": key.id,
        "state": key.state(at),
        "created": _moment(key.created),
        "expires": _moment(limits.expires),
        "revoked": _moment(key.revoked),
        "blocked": _moment(key.blocked),
        "old_secret_until": _moment(key.old_until) if has_old else None,
        "budget_usd": limits.budget_usd,
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "parallel": limits.parallel,
        "models": None if limits.models is None else list(limits.models),
        "zone": limits.zone.value,
        "tier": limits.tier,
    }


def use_as_json(
    meter: KeyMeter, at: int, spent: tuple[int, int], last: float | None = None
) -> JsonObject:
    """What is used of a key's limits now.

    Args:
        at: monotonic nanoseconds.
        spent: nano-dollars of this month: spent, and reserved.
        last: when its last request came, in seconds since the epoch.
    """
    requests, tokens = meter.this_minute(at)
    rpm_used, tpm_used = meter.used(at)
    return {
        # The strictest of the key's own limits and those of [limits].
        "rpm_limit": None if meter.rpm is None else meter.rpm.limit,
        "tpm_limit": None if meter.tpm is None else meter.tpm.limit,
        "parallel_limit": meter.parallel,
        "requests_this_minute": requests,
        "tokens_this_minute": tokens,
        "rpm_used": rpm_used,
        "tpm_used": tpm_used,
        "under_way": meter.under_way,
        "spent_usd": round(spent[0] / NANO, 6),
        "reserved_usd": round(spent[1] / NANO, 6),
        "last_used": _moment(last),
    }


def environment_as_json(name: str, budget_usd: float | None, used: JsonObject) -> JsonObject:
    """A key of the environment, and what is used with it."""
    return {"name": name, "budget_usd": budget_usd, "used": used}


def unlimited_as_json(use: Use, spent: tuple[int, int]) -> JsonObject:
    """What is used with a key that [limits] does not limit; `spent` as of `use_as_json`."""
    return {
        "requests_this_minute": use.requests,
        "tokens_this_minute": use.tokens,
        "under_way": use.under_way,
        "spent_usd": round(spent[0] / NANO, 6),
        "reserved_usd": round(spent[1] / NANO, 6),
        "last_used": _moment(use.last),
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
