"""FleetSource: all replicas of a fleet as one data source, each by a stream of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from nexus_core.control.commands import Command, Outcome, ReplayRequest
from nexus_core.errors import NexusError
from nexus_core.money.cost_lines import CostLines
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Period
from nexus_core.money.report import CostReport
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.events import NexusEvent
from nexus_core.observe.record import RequestRecord
from nexus_core.routing.explain import Explanation, Question
from nexus_tui.sources.base import EventSource, refuse_if_read_only
from nexus_tui.sources.client_keys import KeyAnswer, KeyChange, KeyList
from nexus_tui.sources.fleet.costs import only_of, sum_lines, sum_reports
from nexus_tui.sources.fleet.keys import sum_keys
from nexus_tui.sources.fleet.known import FleetKnown
from nexus_tui.sources.fleet.orders import ask_all, is_for, is_for_all
from nexus_tui.sources.fleet.part import Part
from nexus_tui.sources.fleet.replica import PartOf, Replica, Roll
from nexus_tui.sources.remote import RemoteSource
from nexus_tui.sources.remote_http import LinkLostError, RemoteError

ROLL_SECONDS = 1.0  # between two looks at who is there
_WATCHED_SECONDS = 0.25  # the same while somebody watches a switch reach them
_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)  # before each try to reach a replica; the last one again
_SETTLE_SECONDS = 2.0

Opens = Callable[[Replica], RemoteSource]


class FleetSource(FleetKnown):
    """Data source on all replicas: keep `run` running.

    The replica that the screen was given is asked who the others are; if it goes, another one is.
    """

    def __init__(
        self,
        seed: EventSource,
        roll: Roll,
        opens: Opens,
        *,
        is_read_only: bool = False,
        look_seconds: float = ROLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            seed: of the replica that told the roll; it is kept by whoever made it.
            opens: gives the source of another one, not connected yet.
            look_seconds: between two looks at who is there.
        """
        super().__init__(seed, roll, clock)
        self.is_read_only = is_read_only
        self._opens = opens
        self._look_seconds = look_seconds
        self._begun = asyncio.Event()  # every replica of the first roll is being reached
        self._tasks: asyncio.TaskGroup | None = None
        self._hold_until: float | None = None  # monotonic seconds; None: nothing was opened yet
        self._woken = asyncio.Event()
        self._watchers = 0  # dialogs that show how a switch reaches the replicas

    # --- the replicas --------------------------------------------------------------------

    async def run(self) -> None:
        """Follow who joins and who goes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            here = tasks.create_task(self._pass_on(self.seed), name="replica here")
            if isinstance(self.seed, RemoteSource):
                self.seed.be(PartOf(self.seed_name, self.session))
                self.seed_part.is_settled = False
                tasks.create_task(self._settled(self.seed_part, self.seed), name="begin here")
            self._take([self.last_roll])
            self._hold_until = self._clock() + _SETTLE_SECONDS
            self._begun.set()
            while self.status != "closed":
                pause = _WATCHED_SECONDS if self._watchers else self._look_seconds
                try:
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                except TimeoutError:
                    pass
                self._woken.clear()
                self._take(await self._ask_rolls())
            here.cancel()
            self._tasks = None

    async def settle(self, seconds: float = _SETTLE_SECONDS) -> None:
        """Wait until what there is by now is known, so that lists begin in the order of time."""
        try:
            async with asyncio.timeout(seconds):
                await self._begun.wait()
                while not all(part.is_settled for part in self.parts.values()):
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            pass  # what comes later is shown when it comes

    def watch(self) -> Callable[[], None]:
        """Look at the replicas more often until the returned function is called."""
        self._watchers += 1
        self._woken.set()

        def leave() -> None:
            self._watchers -= 1

        return leave

    async def _ask_rolls(self) -> list[Roll]:
        """What each of those says that are there, the one that was attached to first."""
        rolls = await asyncio.gather(*map(_roll_of, self.live_sources()))
        return [roll for roll in rolls if roll is not None]

    def _take(self, rolls: Sequence[Roll]) -> None:
        """Open who joined, close who went."""
        if not rolls:
            return  # their streams tell that they are gone
        # Who is alone knows the others as they were.
        roll = next((one for one in rolls if one.alone_since is None), rolls[0])
        alone = {one.here: one.alone_since for one in rolls}
        self.last_roll = roll
        for told in roll.replicas:
            part = self.parts.get(told.name)
            if part is None:
                part = self.parts[told.name] = Part(told)
            part.told = replace(told, alone_since=alone.get(told.name))
            part.has_left = False
            if part is self.seed_part and self.seed.status == "live":
                part.past = None  # started again, where it was attached to
            if not told.is_dead and part.task is None and part.name != self.seed_name:
                self._open(part)
        for part in self.parts.values():
            now = roll.get(part.name)
            if now is None:  # it left, as a stop does
                part.has_left = not part.is_live
            if (now is None or now.is_dead) and not part.is_live and part.past is None:
                self._lose(part)
        self._news()

    def _open(self, part: Part) -> None:
        if self._tasks is None:
            return
        if part.told.address is None:
            part.problem = "no address: set [fleet] advertise there"
            part.is_settled = True
            return
        part.task = self._tasks.create_task(self._keep(part), name=f"replica {part.name}")

    def _lose(self, part: Part) -> None:
        """It went away: its numbers and requests stay."""
        if part.task is not None:
            part.task.cancel()
            part.task = None
        if part.name == self.seed_name and part.source is not None and not part.source.is_remote:
            return  # this process
        part.is_settled = True
        if part.past is None and part.source is not None:
            self.requests_of.take([(part.name, one) for one in part.source.changed()])
            self.requests_of.lose(part.name, self.now())
        part.end(self._clock())

    async def _keep(self, part: Part) -> None:
        """Reach a replica, again and again, and follow it until cancelled."""
        tries = 0
        while True:
            source = self._opens(part.told)
            async with source:
                try:
                    await source.connect()
                except RemoteError as error:
                    part.problem, part.is_settled = str(error), True
                    self._news()
                else:
                    part.begin(source)
                    self._news()
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._settled(part, source))
                        tasks.create_task(self._pass_on(source))
                        await source.run()
            await asyncio.sleep(_PAUSES_SECONDS[min(tries, len(_PAUSES_SECONDS) - 1)])
            tries += 1

    async def _settled(self, part: Part, source: RemoteSource) -> None:
        await source.has_begun.wait()
        part.is_settled = True
        self._news()

    async def _pass_on(self, source: EventSource) -> None:
        """Wake who waits for the fleet when this one has something."""
        while "closed" not in (self.status, source.status):
            await source.wait()
            self._news()
            await self._drained.wait()

    # --- what happens --------------------------------------------------------------------

    def changed(self) -> list[RequestRecord]:
        found: list[tuple[str, RequestRecord]] = []
        is_held = self._is_beginning()
        for part in self.open_parts():
            assert part.source is not None  # noqa: S101 - it is open
            if is_held and part is not self.seed_part:
                continue  # what was there at first is shown in the order of time
            if part.source.epoch != part.epoch:  # another run of it
                self.requests_of.lose(part.name, self.now())
                part.epoch = part.source.epoch
            found += [(part.name, record) for record in part.source.changed()]
        self.requests_of.take(found)
        return self.requests_of.changed()

    def _is_beginning(self) -> bool:
        if self._hold_until is None or self._clock() >= self._hold_until:
            return False
        return not all(part.is_settled for part in self.parts.values())

    def drain(self) -> list[NexusEvent]:
        self._changed.clear()
        events = [event for source in self.open_sources() for event in source.drain()]
        self._drained.set()
        self._drained.clear()
        return sorted(events, key=lambda event: event.at)

    def unseen(self) -> int:
        return sum(source.unseen() for source in self.open_sources())

    async def wait(self) -> None:
        while not self._changed.is_set():
            await self._changed.wait()

    def close(self) -> None:
        super().close()
        self._woken.set()

    # --- asking --------------------------------------------------------------------------

    async def roll(self) -> Roll | None:
        return self.last_roll

    @property
    def speaker(self) -> str | None:
        speaking = self.seed_part if self.seed_part.is_live else next(iter(self.live_parts()), None)
        return None if speaking is None else speaking.name

    async def explain(self, question: Question) -> Explanation:
        return await self._first().explain(question)

    async def captured(self, request_id: str) -> CapturedExchange | None:
        source = self._source_of(request_id)
        return None if source is None else await source.captured(request_id)

    async def command(self, command: Command) -> Outcome:
        refuse_if_read_only(self)
        if isinstance(command, ReplayRequest):
            source = self._source_of(command.request_id)
            if source is None:
                raise LinkLostError("the request's replica is gone, and with it its body")
            return await source.command(command)
        live = {part.name: part.source for part in self.live_parts() if part.source is not None}
        if is_for_all(command):
            return await ask_all(live, command) if live else await self._first().command(command)
        first = self._first()
        chosen = {
            name: source
            for name, source in live.items()
            if source is first or is_for(command, self.parts[name].told)
        }
        return await ask_all(chosen or {"": first}, command)

    def _first(self) -> EventSource:
        """The replica that speaks for all: the one that was attached to, while it lives.

        Raises:
            LinkLostError: there is none.
        """
        if self.seed_part.is_live:
            return self.seed
        live = self.live_sources()
        if not live:
            raise LinkLostError("link to every replica lost; nothing was sent")
        return live[0]

    def _source_of(self, request_id: str) -> EventSource | None:
        record = self.requests.get(request_id)
        part = None if record is None else self.parts.get(record.replica or "")
        return None if part is None or part.past is not None else part.source

    async def client_keys(self) -> KeyList:
        sources = self.live_sources()
        if not sources:
            return await self._first().client_keys()
        return sum_keys(await asyncio.gather(*(one.client_keys() for one in sources)))

    async def change_key(self, change: KeyChange) -> KeyAnswer:
        refuse_if_read_only(self)
        return await self._first().change_key(change)

    # --- costs ---------------------------------------------------------------------------

    async def refresh_costs(self) -> None:
        live = self.live_parts()
        await asyncio.gather(*(one.refresh_costs() for one in self.live_sources()))
        told: list[tuple[str, CostReport]] = []
        missing: list[str] = []
        problems: list[str] = []
        for part in live:
            if part.source is None:
                continue
            if part.source.costs is not None:
                told.append((part.name, part.source.costs))
            if part.source.costs is None or part.source.costs_problem is not None:
                missing.append(part.name)
                problems.append(part.source.costs_problem or "")
        if told:
            self.costs = sum_reports(told)
        missing += [part.name for part in self.parts.values() if part not in live]
        self.costs_problem = only_of(missing) if missing and told else next(iter(problems), None)

    async def cost_lines(self, by: By, period: Period) -> CostLines | None:
        sources = self.live_sources()
        if not sources:
            return await self._first().cost_lines(by, period)
        told = await asyncio.gather(*(one.cost_lines(by, period) for one in sources))
        lines = [one for one in told if one is not None]
        return sum_lines(lines) if lines else None


async def _roll_of(source: EventSource) -> Roll | None:
    try:
        return await source.roll()
    except NexusError:
        return None  # its stream tells whether it is gone
