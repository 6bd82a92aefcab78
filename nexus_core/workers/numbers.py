"""Statistics of all workers together: /v1/stats, and the state that dashboards begin with."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nexus_core.api.status import backend_as_json, numbers_as_json
from nexus_core.observe.operation_stats import BackendStats
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import read_stats, stats_as_json
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.observe.windows.counted import Counted, since
from nexus_core.observe.windows.counted_json import counted_as_json
from nexus_core.observe.windows.marks import Marks
from nexus_core.observe.windows.window import MOVING
from nexus_core.types import BudgetStatus, JsonObject
from nexus_core.workers.backends import sum_backends

_LAST_ACTIONS = 50
_STATUSES = tuple(status.value for status in BudgetStatus)  # the better first


def sum_states(states: Sequence[JsonObject], past: Sequence[Stats], windows: Marks) -> JsonObject:
    """The state of several workers as that of one.

    What the file says, and what each of them has by itself, is the first one's.

    Args:
        past: what those counted that say nothing now.
        windows: where those of all together begin.
    """
    first = states[0]
    stats = sum_stats([*(read_stats(state["counts"]) for state in states), *past])
    stats.in_flight = sum(state["stats"]["in_flight"] for state in states)
    backends = sum_backends([state["backends"] for state in states])
    return {
        **first,
        "started_at": min(state["started_at"] for state in states),
        "at": time.time(),
        "counts": stats_as_json(stats),
        "windows": windows_as_json(windows),
        "stats": _stats(states, stats, windows),
        "backends": backends,
        "actions": newest_actions([state["actions"] for state in states], _LAST_ACTIONS),
        **sum_moments(states),
    }


def sum_moments(states: Sequence[JsonObject]) -> JsonObject:
    """What is only ever as of now: zones, the queue, whether bodies are captured."""
    queues = [state["queue"] for state in states if state["queue"] is not None]
    return {
        "zones": {
            zone: all(state["zones"][zone] for state in states) for zone in states[0]["zones"]
        },
        "queue": {
            "waiting": sum(queue["waiting"] for queue in queues),
            "max_size": sum(queue["max_size"] for queue in queues),
        }
        if queues
        else None,
        "capture": any(state["capture"] for state in states),
    }


def newest_actions(lists: Sequence[list[JsonObject]], limit: int) -> list[JsonObject]:
    """What operators did, newest first, each once although several may have it."""
    every = {(one["at"], one["text"]): one for actions in lists for one in actions}
    return sorted(every.values(), key=_at, reverse=True)[:limit]


def _at(value: JsonObject) -> float:
    at: float = value["at"]
    return at


def windows_as_json(windows: Marks) -> JsonObject:
    """What was counted before each window."""
    beginnings = {window.value: windows.beginning(window) for window in MOVING}
    return {
        name: None if counted is None else counted_as_json(counted)
        for name, counted in beginnings.items()
    }


def _stats(states: Sequence[JsonObject], stats: Stats, windows: Marks) -> JsonObject:
    told: list[JsonObject] = [state["stats"] for state in states]
    is_known = any(one["ledger"]["is_read"] for one in told)  # one that was replaced reads anew
    problems = (one["ledger"]["problem"] for one in told)
    names = list(told[0]["backends"])
    return {
        **told[0],
        "uptime_seconds": max(one["uptime_seconds"] for one in told),
        "in_flight": stats.in_flight,
        "queued": sum(one["queued"] for one in told),
        **numbers_as_json(stats, is_known=is_known),
        "budget": _budget([one["budget"] for one in told]),
        "ledger": {
            "is_read": is_known,
            "problem": next((problem for problem in problems if problem is not None), None),
            "lost": sum(one["ledger"]["lost"] for one in told),
            **_outbox([one["ledger"]["outbox"] for one in told if "outbox" in one["ledger"]]),
        },
        "backends": {
            name: _in_use([one["backends"][name] for one in told if name in one["backends"]])
            | backend_as_json(stats.backends.get(name, BackendStats()), is_known=is_known)
            for name in names
        },
        "windows": {
            window.value: {
                "seconds": round(windows.seconds(window), 3),
                **_window(stats, windows.beginning(window), names, is_known=is_known),
            }
            for window in MOVING
        },
    }


def _outbox(told: Sequence[JsonObject]) -> JsonObject:
    """What waits for PostgreSQL: each tells of the same file, and one of them ships."""
    if not told:
        return {}
    most = max(told, key=lambda one: (one["problem"] is not None, one["waiting"]))
    return {"outbox": {**most, "refused": sum(one["refused"] for one in told)}}


def _in_use(told: Sequence[JsonObject]) -> JsonObject:
    cooldowns = {model: one for state in told for model, one in state["cooldowns"].items()}
    whole = (state["cooldown"] for state in told)
    return {
        "in_flight": sum(state["in_flight"] for state in told),
        "cooldown": next((one for one in whole if one is not None), None),
        "cooldowns": cooldowns,
    }


def _window(
    stats: Stats, beginning: Counted | None, names: Sequence[str], *, is_known: bool
) -> JsonObject:
    after = stats if beginning is None else since(stats, beginning)
    return {
        **numbers_as_json(after, is_known=is_known),
        "backends": {
            name: backend_as_json(numbers, is_known=is_known)
            for name in names
            if (numbers := after.backends.get(name)) is not None
            and (numbers.attempts or numbers.answers)
        },
    }


def _budget(told: Sequence[JsonObject]) -> JsonObject:
    """One month's money: each of them knows what all have spent, some a moment later."""
    spent = [one["spent_usd"] for one in told if one["spent_usd"] is not None]
    statuses: list[str] = [one["status"] for one in told if one["status"] is not None]
    return {
        **told[0],
        "status": max(statuses, key=_rank) if statuses else None,
        "spent_usd": max(spent) if spent else None,
        "reserved_usd": sum(one["reserved_usd"] for one in told),
    }


def _rank(status: str) -> int:
    return _STATUSES.index(status)
