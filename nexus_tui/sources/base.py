"""The EventSource protocol: the data source of the dashboard, and its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from nexus_core.config.schema import Config
from nexus_core.control.commands import Command, Outcome
from nexus_core.control.unsaved import Unsaved
from nexus_core.errors import PermissionDeniedError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.cost_lines import CostLines
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Period
from nexus_core.money.report import CostReport
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.events import NexusEvent, OperatorActed
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import RecentRequests
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import Counted
from nexus_core.observe.windows.window import Window
from nexus_core.routing.explain import Explanation, Question
from nexus_core.types import PrivacyZone, QueueState
from nexus_tui.sources.client_keys import KeyAnswer, KeyChange, KeyList
from nexus_tui.sources.fleet.replica import Roll

Status: TypeAlias = Literal["live", "stale", "closed"]

LAST_ACTIONS = 50  # of operators, that a screen knows
NO_LEDGER = "this Nexus has no ledger"
READ_ONLY = "read-only dashboard: changes are disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundServer:
    """A usual port of a local server, with the result of its probe."""

    title: str  # Ollama
    address: str  # host:port
    finding: str  # for people: 2 models, refused, this is Nexus
    is_used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """An environment variable for a cloud key; only whether it is set is known."""

    title: str  # OpenAI
    variable: str
    is_set: bool
    is_used: bool = False  # there is a backend for it


class DiscoverySource(Protocol):
    """Discovery results of a Nexus without a configuration."""

    @property
    def servers(self) -> Sequence[FoundServer]: ...
    @property
    def keys(self) -> Sequence[FoundKey]: ...

    async def search(self) -> None:
        """Search again now. Servers found on this machine are used at once."""
        ...

    async def use_key(self, variable: str) -> Outcome:
        """Use a cloud's key until restart: somebody asked for it.

        Raises:
            NexusError: it can't be used; the message is for the screen.
        """
        ...


def offered(discovery: DiscoverySource | None) -> list[FoundKey]:
    """Cloud keys that are set but not used."""
    return [key for key in discovery.keys if key.is_set and not key.is_used] if discovery else []


class EventSource(Protocol):
    """Data source of the dashboard: events in batches, state on demand."""

    @property
    def address(self) -> str: ...  # host:port
    @property
    def started_at(self) -> float: ...  # seconds since the epoch
    @property
    def is_demo(self) -> bool: ...
    @property
    def is_remote(self) -> bool: ...  # another process, perhaps on another machine
    @property
    def config(self) -> Config: ...  # of another process: the sections that it tells
    @property
    def stats(self) -> Stats: ...
    @property
    def requests(self) -> RecentRequests: ...  # the newest, as `changed` tells that they change
    @property
    def queue(self) -> QueueState | None: ...  # None: no request may wait
    @property
    def is_capturing(self) -> bool: ...  # bodies are kept
    @property
    def status(self) -> Status: ...  # stale: the link is lost, and values are of before that
    @property
    def stale_since(self) -> float | None: ...  # when it last said something; None: it is not
    @property
    def notice(self) -> str | None: ...  # for people: what is not as it should be with the link
    @property
    def is_read_only(self) -> bool: ...  # no command is carried out
    @property
    def epoch(self) -> int: ...  # another one: what is drained now continues nothing of before
    @property
    def costs(self) -> CostReport | None: ...  # as of the last `refresh_costs`; None: not known yet
    @property
    def costs_problem(self) -> str | None: ...  # for people: why they are not known, or old
    @property
    def discovery(self) -> DiscoverySource | None: ...  # None: nothing is looked for
    @property
    def session(self) -> str: ...  # this screen's own word, by which its own actions are known
    @property
    def actions(self) -> Sequence[OperatorActed]: ...  # the last of operators, newest first
    @property
    def unsaved(self) -> Sequence[Unsaved]: ...  # what differs from the file until restart
    @property
    def speaker(self) -> str | None: ...  # the replica that answers `explain`; None: no fleet
    @property
    def fleet(self) -> Roll | None: ...  # its replicas, as last told; None: it is in none

    @property
    def has_windows(self) -> bool: ...  # False: an old Nexus, which counts since its start only

    def now(self) -> float:
        """Seconds since the epoch, by the clock that events are stamped with."""
        ...

    def counted_before(self, window: Window) -> Counted | None:
        """What `stats` had counted before the window; None: nothing, or it is as long as the run.

        The same value as before while nothing that was counted left the window.
        """
        ...

    def is_zone_enabled(self, zone: PrivacyZone) -> bool:
        """Whether requests may go to the zone's backends."""
        ...

    def backends(self) -> tuple[BackendSnapshot, ...]:
        """Every backend as it is now, in the order of the configuration."""
        ...

    def changed(self) -> list[RequestRecord]:
        """Requests that came or changed since the last call, in order of arrival.

        Each one is among them for the last time when it is over.
        """
        ...

    def drain(self) -> list[NexusEvent]:
        """What happened since the last call, oldest first; never waits.

        Of requests it may tell failed attempts only: `changed` tells the rest.
        """
        ...

    def unseen(self) -> int:
        """How many requests came since the last call of which there was no event."""
        ...

    async def wait(self) -> None:
        """Return once something has happened since the last `drain`."""
        ...

    async def explain(self, question: Question) -> Explanation:
        """Where such a request would go, and why; nothing is sent."""
        ...

    async def captured(self, request_id: str) -> CapturedExchange | None:
        """A request and its answer; None where their bodies are not kept.

        Raises:
            NexusError: nobody can say; the message is for the screen.
        """
        ...

    async def command(self, command: Command) -> Outcome:
        """Ask for a change; done when events and snapshots say so.

        Raises:
            NexusError: it can't be done; the message is for the screen.
        """
        ...

    def watch(self) -> Callable[[], None]:
        """Look at the replicas more often until the returned function is called."""
        ...

    async def roll(self) -> Roll | None:
        """The replicas of the fleet as they are now; None: it is in none, or too old to say.

        Raises:
            NexusError: nobody can say; the message is for the screen.
        """
        ...

    async def refresh_costs(self) -> None:
        """Learn anew what was spent; never fails, `costs_problem` says what is wrong."""
        ...

    async def cost_lines(self, by: By, period: Period) -> CostLines | None:
        """What a month or day has cost, in groups; None where there is no ledger.

        Raises:
            NexusError: nobody can say; the message is for the screen.
        """
        ...

    async def client_keys(self) -> KeyList:
        """Client keys, their limits and what is used of them.

        Raises:
            NexusError: nobody can say; the message is for the screen.
        """
        ...

    async def change_key(self, change: KeyChange) -> KeyAnswer:
        """Create or change a client key; in force when it returns.

        Raises:
            NexusError: it can't be done; the message is for the screen.
        """
        ...

    def close(self) -> None:
        """Stop receiving."""
        ...


def refuse_if_read_only(source: EventSource) -> None:
    """Refuse a change where none may be made.

    Raises:
        PermissionDeniedError: the dashboard is read-only.
    """
    if source.is_read_only:
        raise PermissionDeniedError(READ_ONLY)
