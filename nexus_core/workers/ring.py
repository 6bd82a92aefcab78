"""The events of all workers in one order, as they are sent to readers."""

from __future__ import annotations

import json
import secrets
from collections import deque
from itertools import islice
from typing import NamedTuple

from nexus_core.api.admin.ids import numbered
from nexus_core.types import JsonObject

CAPACITY = 8192
GAP = "gap"
_OF_REQUESTS = frozenset(
    {"RequestReceived", "RouteDecided", "AttemptFailed", "FirstByteReceived", "RequestFinished"}
)
_OF_ONE_WORKER = frozenset({*_OF_REQUESTS, "RequestRefused", "OperatorActed"})
_SAME_SECONDS = 3.0  # in which several workers tell of the same thing


class Told(NamedTuple):
    """What a worker tells: an event, or that some are missing."""

    kind: str  # the event's type, or GAP
    data: str  # JSON
    at: float = 0.0
    request_id: str | None = None

    @property
    def ends(self) -> bool:
        """It is the end of a request."""
        return self.kind == "RequestFinished"

    @property
    def begins(self) -> bool:
        """It is the beginning of a request."""
        return self.kind == "RequestReceived"

    def message(self, run: str, number: int) -> bytes:
        """It as a server-sent event."""
        if self.kind == GAP:
            gap: JsonObject = {**json.loads(self.data), "until": numbered(run, number)}
            return f"event: {GAP}\ndata: {json.dumps(gap)}\n\n".encode()
        return f"id: {numbered(run, number)}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()


def told_of(kind: str, data: str) -> Told:
    """What an event's message says."""
    values: JsonObject = json.loads(data)
    request_id = values.get("request_id") if kind in _OF_REQUESTS else None
    return Told(kind, data, values.get("at", 0.0), request_id)


class Ring:
    """The newest events of all workers, numbered."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.run = secrets.token_hex(4)
        self.last = 0
        self._events: deque[Told] = deque(maxlen=capacity)
        self._same: dict[tuple[str, str], float] = {}

    @property
    def first(self) -> int:
        """The oldest number that is still here."""
        return self.last - len(self._events) + 1

    def push(self, told: Told) -> None:
        """Take one in; what each worker tells of the same thing is taken in once."""
        if told.kind != GAP and told.kind not in _OF_ONE_WORKER and self._is_known(told):
            return
        self.last += 1
        self._events.append(told)

    def _is_known(self, told: Told) -> bool:
        values: JsonObject = json.loads(told.data)
        what = {key: value for key, value in values.items() if key not in ("at", "ended")}
        key = (told.kind, json.dumps(what, sort_keys=True))
        before = self._same.get(key)
        self._same = {k: at for k, at in self._same.items() if told.at - at < _SAME_SECONDS}
        self._same[key] = told.at
        return before is not None and told.at - before < _SAME_SECONDS

    def after(self, number: int) -> list[tuple[int, Told]]:
        """What came after that number and is still here, oldest first."""
        start = max(number + 1, self.first)
        return list(enumerate(islice(self._events, start - self.first, None), start))
