"""Book of sessions: what the requests of each come to, added up as they come and end."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nexus_core.observe.origin.origin import Origin
from nexus_core.observe.record import RequestRecord
from nexus_core.types import CountMethod

CAPACITY = 500  # sessions kept; the longest unused goes first
_MOST_SUBAGENTS = 100  # of a session that are told apart
_MOST_NAMES = 16  # models and backends of one that are told

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
    rows: deque[RequestRecord] = field(default_factory=deque)  # those still listed, oldest first
    subagents: dict[str, Tally] = field(default_factory=dict)

    def came(self, row: RequestRecord) -> None:
        """One more request, however far it is."""
        if not self.requests:
            self.since = row.at
        if row.at > self.last:
            self.last = row.at
        self.requests += 1
        self.running += 1
        self.rows.append(row)
        models, asked = self.models, row.asked_model
        if asked not in models and len(models) < _MOST_NAMES:
            models[asked] = None

    def ended(self, row: RequestRecord) -> None:
        """One of them is over."""
        self.running = max(self.running - 1, 0)  # one may have come before it was kept anew
        ended = row.ended_at or 0.0
        if ended > self.last:
            self.last = ended
        backend, asked = row.backend, row.asked_model
        if backend is not None:
            if asked in self.models:
                self.models[asked] = row.route_model
            if backend not in self.backends and len(self.backends) < _MOST_NAMES:
                self.backends[backend] = None
        if row.has_error:
            self.errors += 1
        if row.is_unpriced:
            self.unpriced += 1
        if (usage := row.usage) is None:
            return
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.cached_tokens += usage.cached_tokens
        if row.cost is not None:
            self.cost_nano_usd += row.cost.nano_usd
        if row.counted is not CountMethod.REPORTED:
            self.is_estimated = True

    def went(self, row: RequestRecord) -> None:
        """The oldest request is listed no more; what it came to stays."""
        if self.rows and self.rows[0] is row:
            self.rows.popleft()

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
        # Of the last request that came, whose session is the newest: most are of the same.
        self._last_origin: Origin | None = None
        self._last: Tally | None = None

    @classmethod
    def of(cls, rows: Iterable[RequestRecord]) -> SessionBook:
        """A book of these requests alone, oldest first."""
        book = cls()
        for row in rows:
            book.came(row)
            if row.ended_at is not None:
                book.ended(row)
        return book

    @property
    def sessions(self) -> Sequence[Tally]:
        """All of them, those with the latest requests last."""
        return [*self._sessions.values()]

    @property
    def is_full(self) -> bool:
        """Whether the next session makes it forget one."""
        return len(self._sessions) >= self._capacity

    def came(self, row: RequestRecord) -> None:
        """A request came; a call that was refused before it was routed belongs to no session."""
        if row.refused is not None:
            return
        origin = row.origin
        one = self._last if origin is self._last_origin else None
        if one is None:
            one = self._last = self._newest((origin.agent, origin.session))
            self._last_origin = origin
        one.came(row)
        if (name := origin.subagent) is not None:
            sub = one.subagents.get(name)
            if sub is None and len(one.subagents) < _MOST_SUBAGENTS:
                sub = one.subagents[name] = Tally(*one.key, name)
            if sub is not None:
                sub.came(row)

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

    def _of(self, origin: Origin) -> Tally | None:
        if origin is self._last_origin:
            return self._last
        return self._sessions.get((origin.agent, origin.session))

    def ended(self, row: RequestRecord) -> None:
        """A request that came before is over."""
        origin = row.origin
        one = self._of(origin)
        if one is None or row.refused is not None:
            return
        one.ended(row)
        if origin.subagent is not None and origin.subagent in one.subagents:
            one.subagents[origin.subagent].ended(row)

    def went(self, row: RequestRecord) -> None:
        """A request, the oldest of all, is listed no more."""
        origin = row.origin
        one = self._of(origin)
        if one is None or row.refused is not None:
            return
        one.went(row)
        if origin.subagent is not None and origin.subagent in one.subagents:
            one.subagents[origin.subagent].went(row)

    def clear(self) -> None:
        """Forget all of them."""
        self._sessions.clear()
        self._last = self._last_origin = None
