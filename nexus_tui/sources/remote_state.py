"""State of an attached Nexus, read from JSON and validated."""

from __future__ import annotations

import base64
import json
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from nexus_core.config.schema import Config
from nexus_core.control.unsaved import Unsaved
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.fleet.snapshot_json import read_snapshot
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.event_json import UnreadableError, read_json
from nexus_core.observe.events import OperatorActed
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import read_stats, set_counters
from nexus_core.observe.windows.counted import Counted
from nexus_core.observe.windows.counted_json import read_counted
from nexus_core.observe.windows.window import MOVING, Window
from nexus_core.types import PrivacyZone, QueueState, is_list, is_object
from nexus_tui.sources.base import LAST_ACTIONS

_LARGEST = 10**15  # of any number: what is larger could not be drawn as a time or a duration
_MAX_BACKENDS = 10_000


def parse(text: str | bytes) -> Any:
    """JSON from outside.

    Raises:
        UnreadableError: it is none, or holds a number that makes no sense.
    """
    try:
        return json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not the JSON of a Nexus") from error


def _int(text: str) -> int:
    if len(text) > 16 or abs(int(text)) > _LARGEST:
        _refuse(text)
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) and abs(value) <= _LARGEST else _refuse(text)


def _refuse(_: str) -> float:
    raise ValueError("no number of ours")


@dataclass(slots=True)
class RemoteState:
    """State of an attached Nexus; `totals` messages update it."""

    version: str
    is_demo: bool
    started_at: float
    config: Config
    run: str  # which run of it this is
    event: int  # the number of the event after which the state was that
    clock_offset: float  # what to add to this machine's clock
    stats: Stats
    backends: dict[str, BackendSnapshot]
    windows: dict[Window, Counted | None] = field(default_factory=dict)  # counted before each
    has_windows: bool = False  # it counts for windows, as all but old ones do
    actions: deque[OperatorActed] = field(default_factory=lambda: deque(maxlen=LAST_ACTIONS))
    zones: dict[PrivacyZone, bool] = field(default_factory=dict)
    queue: QueueState | None = None
    is_capturing: bool = False
    unsaved: tuple[Unsaved, ...] = ()
    last_log: str | None = None  # the id of its newest log line; None: it tells none

    def take(self, told: object) -> int:
        """Take over a `totals` message; how many requests it counts that no event told of.

        Raises:
            UnreadableError: it is not what a Nexus tells; the state is to be asked for anew.
        """
        totals = _object(told)
        names, changed = totals.get("names"), totals.get("backends")
        if not is_list(names) or not is_list(changed):
            raise UnreadableError("totals: backends are missing")
        known = self.backends | _backends(changed, self.backends)
        self.backends = {name: known[name] for name in names if name in known}
        self.take_moment(totals)
        self.take_windows(totals)
        run, event = _event_id(totals.get("last_event"))
        if run != self.run or event < self.event:
            return 0  # the numbers are of before the statistics
        before = self.stats.requests
        set_counters(self.stats, totals.get("counters"))
        return max(0, self.stats.requests - before)

    def take_moment(self, told: dict[str, Any]) -> None:
        """Take over what is only ever as of now: the clock, zones, the queue."""
        self.clock_offset = _number(told, "at") - time.time()
        zones = _object(told.get("zones"))
        self.zones = {zone: zones.get(zone.value) is not False for zone in PrivacyZone}
        queue = told.get("queue")
        self.queue = None if queue is None else read_json(QueueState, queue)
        self.is_capturing = told.get("capture") is True
        self.unsaved = _unsaved(told.get("unsaved"))
        last_log = told.get("last_log")
        self.last_log = last_log if isinstance(last_log, str) else None

    def take_windows(self, told: dict[str, Any]) -> None:
        """Take over what was counted before each window that has moved on; an old Nexus has none.

        Raises:
            UnreadableError: it is not what a Nexus tells.
        """
        if not is_object(moved := told.get("windows", {})):
            raise UnreadableError("windows are missing")
        self.has_windows |= "windows" in told
        for window in MOVING:
            if window.value in moved:
                counted = moved[window.value]
                self.windows[window] = None if counted is None else read_counted(counted)


def read_state(value: object) -> RemoteState:
    """Read the answer of GET /nexus/state.

    Raises:
        UnreadableError: it is not what a Nexus of about this version tells.
    """
    told = _object(value)
    backends = told.get("backends")
    version = told.get("version")
    if not is_list(backends) or not isinstance(version, str):
        raise UnreadableError("the state of a Nexus is missing")
    run, event = _event_id(told.get("last_event"))
    state = RemoteState(
        version=version[:64],
        is_demo=told.get("is_demo") is True,
        started_at=_number(told, "started_at"),
        config=_config(told.get("config")),
        run=run,
        event=event,
        clock_offset=0.0,
        stats=read_stats(told.get("counts")),
        backends=_backends(backends, {}),
        actions=deque(_actions(told.get("actions")), LAST_ACTIONS),
    )
    state.take_moment(told)
    state.take_windows(told)
    return state


def read_exchange(told: Mapping[str, Any]) -> CapturedExchange:
    """The answer of GET /nexus/requests/{id}/bodies.

    Raises:
        UnreadableError: it is not what a Nexus tells.
    """
    return replace(
        read_json(CapturedExchange, {**told, "body": "", "answer": ""}),
        body=_read_body(told.get("request")),
        answer=_read_body(told.get("answer")),
    )


def _read_body(told: object) -> bytes:
    if not is_object(told) or not isinstance(content := told.get("content"), str):
        raise UnreadableError("a body is missing")
    try:
        is_text = told.get("encoding") == "utf-8"
        return content.encode() if is_text else base64.b64decode(content, validate=True)
    except ValueError as error:
        raise UnreadableError("a body is not readable") from error


def _event_id(value: object) -> tuple[str, int]:
    run, _, number = str(value).rpartition("-")
    if not (run.isalnum() and number.isascii() and number.isdigit() and len(number) < 16):
        raise UnreadableError("the id of an event is missing")
    return run, int(number)


def event_number(event_id: object, run: str) -> int:
    """The number in an event's id.

    Raises:
        UnreadableError: it is none, or that of another run.
    """
    of, number = _event_id(event_id)
    if of != run:
        raise UnreadableError("the event is one of another run")
    return number


def _backends(
    values: list[object], known: dict[str, BackendSnapshot]
) -> dict[str, BackendSnapshot]:
    if len(values) > _MAX_BACKENDS:
        raise UnreadableError("too many backends")
    at = time.monotonic()
    read = [read_snapshot(_with_models(_object(value), known), at) for value in values]
    return {backend.name: backend for backend in read}


def _actions(told: object) -> list[OperatorActed]:
    """What operators did, newest first; an older Nexus tells nothing of it."""
    if not is_list(told):
        return []
    return [read_json(OperatorActed, one) for one in told[:LAST_ACTIONS]]


def _unsaved(told: object) -> tuple[Unsaved, ...]:
    """What differs from its configuration file; an older Nexus does not tell."""
    if not is_list(told):
        return ()
    return tuple(read_json(Unsaved, one) for one in told[:_MAX_BACKENDS])


def _with_models(value: dict[str, Any], known: dict[str, BackendSnapshot]) -> dict[str, Any]:
    """The models are left out where they are as before."""
    before = known.get(str(value.get("name")))
    return (
        value if "models" in value or before is None else {**value, "models": dict(before.models)}
    )


def _config(value: object) -> Config:
    """The sections that are told, without what only a newer Nexus knows; defaults elsewhere."""
    told = _object(value)
    for _ in range(8):  # each turn takes out what one look found, which may be within the other
        try:
            return Config.model_validate_json(json.dumps(told))
        except ValidationError as error:
            unknown = [each["loc"] for each in error.errors() if each["type"] == "extra_forbidden"]
            if not unknown:
                raise UnreadableError("the configuration is not one of a Nexus") from error
            for *path, name in unknown:
                _take_out(told, path, name)
    raise UnreadableError("the configuration is not one of a Nexus")


def _take_out(table: Any, path: list[int | str], name: int | str) -> None:
    for part in path:
        table = table[part]
    del table[name]


def _object(value: object) -> dict[str, Any]:
    if not is_object(value):
        raise UnreadableError("an object is missing")
    return value


def _number(told: dict[str, Any], name: str) -> float:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError(f"{name}: a number is missing")
    return float(value)
