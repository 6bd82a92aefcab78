"""What is asked of a key, by a command's options or the control API's JSON, as limits. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from nexus_core.errors import InvalidRequestError
from nexus_core.keys.key import Limits, is_secret
from nexus_core.types import PrivacyZone, is_list

# By the names of the options and of the JSON.
FIELDS = ("budget", "rpm", "tpm", "parallel", "models", "zone", "tier", "expires")
NONE = "none"  # an option's word for null: no such limit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = "admin"  # so the admin key is called where it is told who acted
_COUNT = re.compile(r"([0-9]{1,12})(k|m)?", re.IGNORECASE)
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LONGEST = 100 * 365 * 86_400.0  # seconds
_MOST = 1_000_000_000_000  # tokens or requests
_MOST_USD = 1_000_000_000
_MOST_GLOBS, _LONGEST_GLOB = 100, 256
_TIERS = range(5)


def read_name(name: str) -> str:
    """The name of a new key.

    Raises:
        InvalidRequestError: it is not usable.
    """
    if not _NAME.fullmatch(name):
        allowed = "up to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"
        raise InvalidRequestError(f"name: must be {allowed}", param="name")
    if is_secret(name):
        raise InvalidRequestError(
            "name: this is a key's secret; a key is called by its name", param="name"
        )
    if name == _RESERVED:
        raise InvalidRequestError(f"name: {name!r} is the admin key's; take another", param="name")
    return name


def changed(limits: Limits, asked: Mapping[str, Any], at: float) -> Limits:
    """The limits with what is asked: fields by their names, as numbers or text; None: no limit.

    Args:
        at: seconds since the epoch, from which a duration counts.

    Raises:
        InvalidRequestError: a value is not usable; `param` names its field.
    """
    for field, value in asked.items():
        told = None if isinstance(value, str) and value.strip().lower() == NONE else value
        match field:
            case "budget":
                limits = replace(limits, budget_usd=None if told is None else _usd(told))
            case "rpm" | "tpm" | "parallel":
                count = None if told is None else _count(field, told)
                limits = replace(limits, **{field: count})
            case "models":
                limits = replace(limits, models=None if told is None else _globs(told))
            case "zone":
                limits = replace(limits, zone=_zone(told))
            case "tier":
                limits = replace(limits, tier=None if told is None else _tier(told))
            case "expires":
                limits = replace(limits, expires=None if told is None else _moment(told, at))
            case _:
                raise _wrong(field, f"is not known; known are {', '.join(FIELDS)}")
    return limits


def read_duration(field: str, value: object) -> float:
    """Seconds of `30d`, `24h`, `15m` or `3s`.

    Raises:
        InvalidRequestError: it is none.
    """
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise _wrong(field, "must be a duration such as 30d, 24h, 15m or 3s")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise _wrong(field, "must be at most 100 years")
    return seconds


def _wrong(field: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field}: {why}", param=field)


def _usd(value: object) -> float:
    try:
        usd = float(str(value).strip().removeprefix("$"))
    except ValueError:
        usd = math.nan
    if isinstance(value, bool) or not 0 <= usd <= _MOST_USD:
        raise _wrong("budget", "must be dollars a month, 0 or more, or none")
    return usd


def _count(field: str, value: object) -> int:
    found = _COUNT.fullmatch(str(value).strip())
    count = 0 if found is None else int(found[1]) * _TIMES[(found[2] or "").lower()]
    if isinstance(value, bool) or not 0 < count <= _MOST:
        raise _wrong(field, "must be a whole number from 1 on, such as 60 or 100k, or none")
    return count


def _globs(value: object) -> tuple[str, ...]:
    told: list[object] = [*value.split(",")] if isinstance(value, str) else []
    if is_list(value):
        told = value
    globs = tuple(one.strip() if isinstance(one, str) else "" for one in told)
    is_usable = all(0 < len(one) <= _LONGEST_GLOB and one.isprintable() for one in globs)
    if not globs or not is_usable or len(globs) > _MOST_GLOBS:
        raise _wrong("models", "must be names or globs such as llama*, 100 at most, or none")
    return tuple(dict.fromkeys(globs))


def _zone(value: object) -> PrivacyZone:
    if value is None:
        return PrivacyZone.OPEN
    if not isinstance(value, str) or value not in tuple(PrivacyZone):
        raise _wrong("zone", "must be restricted, or open for both zones")
    return PrivacyZone(value)


def _tier(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or text not in [str(tier) for tier in _TIERS]:
        raise _wrong("tier", "must be a whole number 0 to 4, or none")
    return int(text)


def _moment(value: object, at: float) -> float:
    text = value.strip() if isinstance(value, str) else ""
    if _DURATION.fullmatch(text):
        seconds = read_duration("expires", text)
        if not seconds:
            raise _wrong("expires", "must lie ahead")
        return at + seconds
    try:
        moment = datetime.fromisoformat(text)
        is_usable = "T" in text.upper() and moment.tzinfo is not None
        seconds = moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):  # of the years 1 and 9999
        is_usable, seconds = False, 0.0
    if not is_usable:
        raise _wrong("expires", "must be a duration such as 30d, an RFC 3339 time, or none")
    if not at < seconds <= at + _LONGEST:
        raise _wrong("expires", "must lie ahead, by at most 100 years")
    return seconds
