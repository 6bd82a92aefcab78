"""Lines of the session list: sessions, and below an open one its subagents and requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
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


def lines_of(
    sessions: Iterable[Tally], opened: Collection[Identity], listed: Sequence[RequestRecord]
) -> Iterator[SessionLine]:
    """Sessions in their order; of an open one subagents, the latest first, then its requests.

    Args:
        listed: all requests that are listed, oldest first.
    """
    for session in sessions:
        yield from _with_what_is_below(session, opened, listed, 0)


def _with_what_is_below(
    tally: Tally, opened: Collection[Identity], listed: Sequence[RequestRecord], depth: int
) -> Iterator[SessionLine]:
    identity = identity_of(tally)
    is_open = identity in opened
    yield SessionLine(identity, tally, depth=depth, is_open=is_open)
    if not is_open:
        return
    for sub in sorted(tally.subagents.values(), key=lambda one: one.last, reverse=True):
        yield from _with_what_is_below(sub, opened, listed, depth + 1)
    for row in islice(_own(tally, listed), MOST_REQUESTS):
        yield SessionLine((row.request_id,), tally, row, depth + 1)


def _own(tally: Tally, listed: Sequence[RequestRecord]) -> Iterator[RequestRecord]:
    """Of a session its own, and those of subagents too many to be told apart; the newest first."""
    agent, session, subagent, told = tally.agent, tally.session, tally.subagent, tally.subagents
    for row in reversed(listed):
        origin = row.origin
        if origin.session != session or origin.agent != agent or row.refused is not None:
            continue
        if origin.subagent == subagent or (subagent is None and origin.subagent not in told):
            yield row
