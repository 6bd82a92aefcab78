"""A captured exchange: request and answer bodies, see `capture`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedExchange:
    """A request and its answer as far as it has come."""

    request_id: str
    endpoint: str  # the path
    model: str  # as the client asked
    body: bytes = field(repr=False)  # as the client sent it
    # The beginning of what the client got, the framing of a stream included; of an error in
    # Nexus's own words only the message.
    answer: bytes = field(repr=False)
    status: int | None  # None before the answer began
    is_whole: bool  # the answer is over, and all of it is here
    is_restricted: bool  # it must never be written to a file
    replay_of: str | None  # the request it repeats
