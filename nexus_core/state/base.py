"""What processes share, as its users see it: a link to the store, and parts of each beat."""

from __future__ import annotations

from typing import Protocol

import msgspec

from nexus_core.types import JsonObject


class StoreUnavailableError(Exception):
    """The store gave no answer in time, or refused; the text says why, for people."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the fleet, as of the last beat."""

    process: str  # unique for each start of a process
    replica: str
    address: str | None  # http://HOST:PORT, where others reach it
    pid: int
    worker: int | None  # its number among those of one replica; None: there is one process only
    version: str
    config_hash: str
    started: float  # seconds since the epoch, by its own clock
    beat_seconds_ago: float  # when the last beat was read, by the store's clock
    switches: int  # version of the switches that it has carried out
    is_dead: bool  # silent for `dead_after_seconds`


class BeatPart(Protocol):
    """One part of every beat; it may do no I/O, and is called in the loop."""

    name: str  # its key in the payload, and of its table in the Lua program

    def report(self) -> JsonObject:
        """What is told of this process: absolute values, asked right before a beat is sent.

        A report may arrive twice, late, or not at all: it must hold whenever it is read. While
        `Link.restores` it tells all that this process last knew of what others need, too.
        """
        ...

    def accept(self, answer: JsonObject, sent: float) -> None:
        """Take in the answer to a report.

        Args:
            sent: when the beat was sent, by `lease_clock`; leases count from there.
        """
        ...

    def cut_off(self, since: float) -> None:
        """The store can't be reached, once for each outage; the next `accept` ends it.

        Args:
            since: when the last answered beat was sent, by `lease_clock`.
        """
        ...


class Link(Protocol):
    """The link of this process to the store; no request task waits for a socket of it."""

    process: str  # this one
    replica: str

    @property
    def members(self) -> tuple[Member, ...]:
        """Processes as of the last beat, this one and dead ones included."""
        ...

    @property
    def live(self) -> int:
        """Live processes, this one included, as of the last beat; what shares are divided by.

        Before the first beat what [fleet] replicas expects, else 4.
        """
        ...

    @property
    def alone_since(self) -> float | None:
        """Since when there is no word from the store, in seconds since the epoch; None: there is.

        Between the start and the first beat it is the start.
        """
        ...

    @property
    def restores(self) -> bool:
        """Whether the store lost its data or is another one: reports tell all that is known."""
        ...

    @property
    def is_understood(self) -> bool:
        """Whether the parts before the one that is asked could take in this beat's answer."""
        ...

    def add(self, part: BeatPart) -> None:
        """Make it a part of every beat."""
        ...

    async def take(self, part: str, question: JsonObject) -> JsonObject:
        """Ask a part's `take` at once; joined with others that wait into one call.

        Raises:
            StoreUnavailableError: no answer within 250 ms; at once while there is no connection,
                or since another had none.
        """
        ...

    def hurry(self) -> None:
        """Beat now instead of at the next time."""
        ...
