"""Client keys as a screen knows them: read from what a Nexus tells, and changed by commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from nexus_core.keys.asked import NONE
from nexus_core.observe.event_json import UnreadableError
from nexus_core.types import JsonObject, is_list, is_object

Verb: TypeAlias = Literal["create", "limit", "rotate", "block", "unblock", "revoke"]

_MOST = 10_000  # keys that are read
_LONGEST = 256  # characters of a word
_ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What is used of a key now."""

    requests: int = 0  # of this minute
    tokens: int = 0
    rpm: int | None = None  # of the limit; None: there is none
    tpm: int | None = None
    # The limits that hold: the strictest of the key's own and those of [limits].
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    parallel_limit: int | None = None
    under_way: int = 0
    spent_usd: float = 0.0  # this month
    reserved_usd: float = 0.0
    last: float | None = None  # when its last request came, in seconds since the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """A client key; moments in seconds since the epoch; a limit that is None limits nothing."""

    name: str
    state: str  # active, blocked, expired, revoked; environment: it has no limits of its own
    budget_usd: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None
    models: tuple[str, ...] | None = None
    zone: str = ""  # restricted or open; empty of a key of the environment
    tier: int | None = None
    created: float | None = None
    expires: float | None = None
    blocked: float | None = None
    revoked: float | None = None
    old_secret_until: float | None = None
    used: Used = field(default_factory=Used)

    @property
    def is_created(self) -> bool:
        """Whether it was made at run time and can be changed so."""
        return self.state != _ENVIRONMENT


@dataclass(frozen=True, slots=True)
class KeyList:
    """All client keys: the created ones, oldest first, then those of the environment."""

    keys: tuple[ClientKey, ...] = ()
    problem: str | None = None  # why the latest state of the created ones is not known


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A command on a client key."""

    verb: Verb
    name: str
    asked: Mapping[str, str] = field(default_factory=dict[str, str])  # limits, as options are typed
    grace: str | None = None  # of a rotation: for how long the old secret is taken


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What became of a command."""

    secret: str | None = field(default=None, repr=False)  # to be shown once, and kept nowhere


def read_keys(told: JsonObject) -> KeyList:
    """The answer of GET /nexus/keys; an older Nexus tells of created keys only.

    Raises:
        UnreadableError: it is not what a Nexus tells.
    """
    created, others = told.get("keys"), told.get("environment", [])
    if not is_list(created) or not is_list(others):
        raise UnreadableError("client keys are missing")
    keys = [_read_key(one) for one in created[:_MOST]]
    keys += [_read_key(one, _ENVIRONMENT) for one in others[:_MOST]]
    problem = told.get("problem")
    return KeyList(tuple(keys), None if problem is None else str(problem))


def read_answer(told: JsonObject) -> KeyAnswer:
    """The answer to a command."""
    secret = told.get("secret")
    return KeyAnswer(secret if isinstance(secret, str) else None)


def limits_in_words(key: ClientKey) -> dict[str, str]:
    """Its limits by the names of the options, as they are typed; None is left out."""
    words = {
        "budget": None if key.budget_usd is None else f"{key.budget_usd:g}",
        "rpm": None if key.rpm is None else str(key.rpm),
        "tpm": None if key.tpm is None else str(key.tpm),
        "parallel": None if key.parallel is None else str(key.parallel),
        "models": None if key.models is None else ",".join(key.models),
        "zone": key.zone if key.zone == "restricted" else None,
        "tier": None if key.tier is None else str(key.tier),
    }
    return {name: word for name, word in words.items() if word is not None}


def changed_words(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """What is asked for to come from the one to the other."""
    asked = {name: word for name, word in after.items() if before.get(name) != word}
    return asked | {name: NONE for name in before if name not in after}


def _read_key(value: object, state: str | None = None) -> ClientKey:
    if not is_object(value):
        raise UnreadableError("a client key must be an object")
    models, used = value.get("models"), value.get("used")
    return ClientKey(
        name=_word(value, "name"),
        state=state or _word(value, "state"),
        budget_usd=_number(value, "budget_usd"),
        rpm=_count(value, "rpm"),
        tpm=_count(value, "tpm"),
        parallel=_count(value, "parallel"),
        models=tuple(str(one)[:_LONGEST] for one in models) if is_list(models) else None,
        zone=_word(value, "zone") if "zone" in value else "",
        tier=_count(value, "tier"),
        created=_moment(value, "created"),
        expires=_moment(value, "expires"),
        blocked=_moment(value, "blocked"),
        revoked=_moment(value, "revoked"),
        old_secret_until=_moment(value, "old_secret_until"),
        used=_read_used(used if is_object(used) else {}),
    )


def _read_used(value: JsonObject) -> Used:
    return Used(
        requests=_count(value, "requests_this_minute") or 0,
        tokens=_count(value, "tokens_this_minute") or 0,
        rpm=_count(value, "rpm_used"),
        tpm=_count(value, "tpm_used"),
        rpm_limit=_count(value, "rpm_limit"),
        tpm_limit=_count(value, "tpm_limit"),
        parallel_limit=_count(value, "parallel_limit"),
        under_way=_count(value, "under_way") or 0,
        spent_usd=_number(value, "spent_usd") or 0.0,
        reserved_usd=_number(value, "reserved_usd") or 0.0,
        last=_moment(value, "last_used"),
    )


def _word(value: JsonObject, name: str) -> str:
    told = value.get(name)
    if not isinstance(told, str):
        raise UnreadableError(f"{name}: a word is missing")
    return told[:_LONGEST]


def _number(value: JsonObject, name: str) -> float | None:
    told = value.get(name)
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise UnreadableError(f"{name}: must be a number")
    return float(told)


def _count(value: JsonObject, name: str) -> int | None:
    told = _number(value, name)
    return None if told is None else int(told)


def _moment(value: JsonObject, name: str) -> float | None:
    told = value.get(name)
    if told is None:
        return None
    try:
        return datetime.fromisoformat(str(told)).timestamp()
    except (ValueError, OverflowError) as error:
        raise UnreadableError(f"{name}: must be a time") from error
