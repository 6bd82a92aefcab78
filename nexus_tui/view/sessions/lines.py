"""Lines of the session list: sessions, and below an open one its subagents and requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

from nexus_core.observe.record import RequestRecord
from nexus_tui.view.sessions.book import Tally

MOST_REQUESTS = 200  # of a session or subagent that are listed below it

# What a line is of, whatever moves above it: a session, a subagent of it, a request.
Identity: TypeAlias = tuple[str | None, ...]


class SessionLine(NamedTuple):
    """One line: sums, or a request of those above it."""

    identity: Identity
    tally: Tally  # the line's own; of a request what it belongs to
    row: RequestRecord | None = None
    depth: int = 0
    is_open: bool = False


def identity_of(tally: Tally) -> Identity:
    """The same for as long as it is kept."""
    return (tally.agent, tally.session, tally.subagent)


def lines_of(sessions: Iterable[Tally], opened: Collection[Identity]) -> Iterator[SessionLine]:
    """Sessions in their order; of an open one subagents, the latest first, then its requests."""
    for session in sessions:
        yield from _with_what_is_below(session, opened, 0)


def _with_what_is_below(
    tally: Tally, opened: Collection[Identity], depth: int
) -> Iterator[SessionLine]:
    identity = identity_of(tally)
    is_open = identity in opened
    yield SessionLine(identity, tally, depth=depth, is_open=is_open)
    if not is_open:
        return
    for sub in sorted(tally.subagents.values(), key=lambda one: one.last, reverse=True):
        yield from _with_what_is_below(sub, opened, depth + 1)
    own = (row for row in reversed(tally.rows) if _is_own(row, tally))
    for row in islice(own, MOST_REQUESTS):
        yield SessionLine((row.request_id,), tally, row, depth + 1)


def _is_own(row: RequestRecord, tally: Tally) -> bool:
    """Of the session itself, or of a subagent too many to be told apart."""
    name = row.origin.subagent
    return name is None or tally.subagent is not None or name not in tally.subagents
