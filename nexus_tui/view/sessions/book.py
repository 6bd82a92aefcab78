"""Book of sessions: what the requests of each come to, added up as they come and end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nexus_core.observe.origin.origin import Origin
from nexus_core.observe.record import RequestRecord
from nexus_core.types import CountMethod

CAPACITY = 500  # sessions kept; the longest unused goes first
_MOST_SUBAGENTS = 100  # of a session that are told apart
_MOST_NAMES = 16  # models and backends of one that are told
_REPORTED = CountMethod.REPORTED  # to look up a member is a call in Python 3.11

# The program and the session's id; of a program that gives none, None.
SessionKey: TypeAlias = tuple[str | None, str | None]


@dataclass(slots=True, eq=False)
class Tally:
    """Sums of the requests of a session, or of one subagent of it."""

    agent: str | None
    session: str | None
    subagent: str | None = None
    since: float = 0.0  # when its first request came, in seconds since the epoch
    last: float = 0.0  # when one came or ended last
    requests: int = 0
    running: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0  # of the prompts
    cost_nano_usd: int = 0
    is_estimated: bool = False  # some of the tokens and of the cost are Nexus's own count
    unpriced: int = 0  # requests that cost something, and nobody knows how much
    # What was asked for, in order of appearance, and what served it last, by its own name.
    models: dict[str, str | None] = field(default_factory=dict)
    backends: dict[str, None] = field(default_factory=dict)
    subagents: dict[str, Tally] = field(default_factory=dict)

    def came(self, rows: Sequence[RequestRecord]) -> None:
        """More requests, at least one, however far they are."""
        if not self.requests:
            self.since = rows[0].at
        self.last = max(self.last, *[row.at for row in rows])
        self.requests += len(rows)
        self.running += len(rows)
        models = self.models
        for asked in dict.fromkeys([row.asked_model for row in rows]):
            if asked not in models and len(models) < _MOST_NAMES:
                models[asked] = None

    def ended(self, rows: Sequence[RequestRecord]) -> None:
        """Some of them, at least one, are over."""
        # One may have come before this was kept anew.
        self.running = max(self.running - len(rows), 0)
        self.last = max(self.last, *[row.ended_at or 0.0 for row in rows])
        # All in one pass: a row that has been read is in the caches.
        models, backends = self.models, self.backends
        prompt = completion = cached = nano_usd = 0
        for row in rows:
            if row.failed or row.error is not None or (row.status or 0) >= 400:
                self.errors += row.has_error
            if row.backend is not None:
                if row.asked_model in models:
                    models[row.asked_model] = row.route_model
                if row.backend not in backends and len(backends) < _MOST_NAMES:
                    backends[row.backend] = None
            if row.is_unpriced:
                self.unpriced += 1
            usage = row.usage
            if usage is None:
                continue
            prompt += usage.prompt_tokens
            completion += usage.completion_tokens
            cached += usage.cached_tokens
            if row.cost is not None:
                nano_usd += row.cost.nano_usd
            if row.counted is not _REPORTED:
                self.is_estimated = True
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.cached_tokens += cached
        self.cost_nano_usd += nano_usd

    @property
    def cached_share(self) -> float | None:
        """Of the prompts' tokens; None where there are none."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None

    @property
    def model_names(self) -> str:
        """`claude-opus-4-8 → qwen3-coder, claude-haiku-4-5`."""
        return ", ".join(
            name if served in (None, name) else f"{name} → {served}"
            for name, served in self.models.items()
        )

    @property
    def key(self) -> SessionKey:
        return self.agent, self.session


class SessionBook:
    """Sessions by program and id, those with the latest requests last; bounded."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._sessions: OrderedDict[SessionKey, Tally] = OrderedDict()

    @classmethod
    def of(cls, rows: Sequence[RequestRecord]) -> SessionBook:
        """A book of these requests alone, oldest first."""
        book = cls()
        book.came(rows)
        book.ended([row for row in rows if row.ended_at is not None])
        return book

    @property
    def sessions(self) -> Sequence[Tally]:
        """All of them, those with the latest requests last."""
        return [*self._sessions.values()]

    @property
    def is_full(self) -> bool:
        """Whether the next session makes it forget one."""
        return len(self._sessions) >= self._capacity

    def came(self, rows: Iterable[RequestRecord]) -> None:
        """Requests came, in this order; a call refused before it was routed is of no session.

        Many are summed at once for far less than one by one.
        """
        for key, some in _by_session(rows).items():
            one = self._newest(key)
            one.came(some)
            for name, own in _by_subagent(some):
                sub = one.subagents.get(name)
                if sub is None and len(one.subagents) < _MOST_SUBAGENTS:
                    sub = one.subagents[name] = Tally(*key, name)
                if sub is not None:
                    sub.came(own)

    def _newest(self, key: SessionKey) -> Tally:
        sessions = self._sessions
        one = sessions.get(key)
        if one is None:
            one = sessions[key] = Tally(*key)
            if len(sessions) > self._capacity:
                sessions.popitem(last=False)
        else:
            sessions.move_to_end(key)
        return one

    def ended(self, rows: Iterable[RequestRecord]) -> None:
        """Requests that came before are over."""
        for key, some in _by_session(rows).items():
            one = self._sessions.get(key)
            if one is None:
                continue
            one.ended(some)
            for name, own in _by_subagent(some):
                if name in one.subagents:
                    one.subagents[name].ended(own)

    def clear(self) -> None:
        """Forget all of them."""
        self._sessions.clear()


def _by_session(rows: Iterable[RequestRecord]) -> dict[SessionKey, list[RequestRecord]]:
    """Requests in their order; sessions with the latest request last."""
    found: dict[SessionKey, list[RequestRecord]] = {}
    some: list[RequestRecord] = []
    last: Origin | None = None  # most are of the same as the one before
    for row in rows:
        if row.refused is not None:
            continue
        origin = row.origin
        if origin is not last:
            last = origin
            key = origin.agent, origin.session
            some = found.pop(key, [])
            found[key] = some
        some.append(row)
    return found


def _by_subagent(
    rows: Iterable[RequestRecord],
) -> Iterable[tuple[str, list[RequestRecord]]]:
    found: dict[str, list[RequestRecord]] = {}
    some: list[RequestRecord] | None = None  # None: of no subagent
    last: Origin | None = None
    for row in rows:
        origin = row.origin
        if origin is not last:
            last, name = origin, origin.subagent
            some = None if name is None else found.setdefault(name, [])
        if some is not None:
            some.append(row)
    return found.items()
