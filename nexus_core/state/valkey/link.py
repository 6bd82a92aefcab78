"""The link to the store: one task drives the connection, whoever waits awaits a future."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import aclosing

import msgspec

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.state.base import BeatPart, Member, StoreUnavailableError
from nexus_core.state.clock import lease_clock
from nexus_core.state.valkey.members import Myself, ago_ms, read_members
from nexus_core.state.valkey.wire import Node, Wire, connected, key_prefix
from nexus_core.types import JsonObject, is_list

log = logging.getLogger(__name__)

TAKE_SECONDS = 0.25  # no request waits longer for the store
_UNKNOWN_REPLICAS = 4  # before the first beat, where the configuration expects no number
_MOST_TAKES = 64  # of one call
_LEAST_SECONDS = 0.004  # between two beats, however many hurry
# Before each new try to connect, then the last again: a failover takes some seconds.
_PAUSES = (0.0, 0.02, 0.05, *(0.1,) * 100, 0.25)
_NO_ANSWER = "no answer within 250 ms"
_EVICTION = "noeviction"


class _Question(msgspec.Struct, eq=False):
    part: str
    question: JsonObject
    answer: asyncio.Future[JsonObject]


class ValkeyLink:
    """A process's link; `run` is its only task. See `nexus_core.state.base.Link`."""

    def __init__(
        self,
        config: FleetConfig,
        myself: Callable[[], Myself],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        """
        Args:
            myself: what others are told of this process, as it is now.
        """
        me = myself()
        self.process, self.replica = me.process, me.replica
        self.members: tuple[Member, ...] = ()
        self.live = config.replicas or _UNKNOWN_REPLICAS
        self.alone_since: float | None = now()
        self.restores = False
        self.problem: str | None = None  # why there is no word from the store, for people
        self.eviction: str | None = None  # the server's policy, where it is not the right one
        self.is_quarantined = False
        self.is_understood = True  # each part could take in its answer, so far in this beat
        self._misread: dict[str, str] = {}  # why one could not, last
        self.confirmed: Callable[[], int] = lambda: 0  # version of the switches carried out
        # Counted since the start.
        self.calls = self.failed_calls = self.beats = self.outages = 0
        self.beat_seconds = 0.0  # of the newest answered beat
        self._config = config
        self._store = config.store
        self._nodes: list[Node] = []  # of a cluster or a Sentinel, as they answered last
        self._key = f"{key_prefix(config.name)}run"
        self._channel = f"{key_prefix(config.name)}nudge"
        self._myself = myself
        self._told: Myself | None = None  # as others were told it last
        self._now = now
        self._clock = clock
        self._parts: dict[str, BeatPart] = {}
        self._waiting: deque[_Question] = deque()
        self._wake = asyncio.Event()
        self._is_hurried = False
        self._next_beat = self._last_beat = clock()
        self._run_id: str | None = None  # of the server that heard the last beat
        self._data: str | None = None  # the data that it keeps, once they hold what is known here
        self._last_word = clock()  # when the newest answered beat was sent
        # Who was there at the last beat that was not of a quarantine, and when that was sent.
        self.known: tuple[tuple[Member, ...], float] = ((), clock())
        self._is_cut_off = False  # and the parts were told so
        self._is_open = True  # a try to connect has not failed since the last answer
        self._is_late = False  # a take had no answer in time, and there was none since
        self._first_beat = asyncio.Event()

    # --- what others ask -----------------------------------------------------------------

    def add(self, part: BeatPart) -> None:
        """Make it a part of every beat."""
        self._parts[part.name] = part

    def hurry(self) -> None:
        """Beat now."""
        self._is_hurried = True
        self._wake.set()

    async def take(self, part: str, question: JsonObject) -> JsonObject:
        """Ask a part's `take` at once.

        Raises:
            StoreUnavailableError: no answer within 250 ms; at once while there is no connection,
                or since another had none.
        """
        if self._is_late:  # else a request that asks for one thing after another waits for each
            raise StoreUnavailableError(_NO_ANSWER)
        if not self._is_open:
            raise StoreUnavailableError(self.problem or "there is no connection")
        asked = _Question(part, question, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._wake.set()
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                return await asked.answer
        except TimeoutError:
            self._is_late = True
            raise StoreUnavailableError(_NO_ANSWER) from None

    async def first_beat(self, seconds: float) -> bool:
        """Wait until the store was heard for the first time; False where it was not in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._first_beat.wait()
        except TimeoutError:
            return False
        return True

    # --- the task ------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the link until cancelled; then tell the store that this process leaves."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(), name="fleet-watch")
                await self._drive(tasks)
        finally:
            await self._leave()

    async def _drive(self, tasks: asyncio.TaskGroup) -> None:
        tries = 0
        while True:
            beats, nudges = self.beats, None
            try:
                async with connected(self._config, nodes=self._nodes) as wire:
                    self._greet(wire)
                    # Anew with each connection: a channel that is cut off is silent, not closed.
                    nudges = tasks.create_task(self._hear_nudges(), name="fleet-nudges")
                    await self._talk(wire)
            except StoreUnavailableError as error:
                tries = 0 if self.beats > beats else tries
                self._lost(str(error), is_first=tries == 0)
            except Exception as error:  # a member of another version, a part at fault
                log.exception("the fleet's link fails, and begins anew")
                self._lost(
                    f"{type(error).__name__} in this process; its log has more", is_first=False
                )
                tries = max(tries, 1)
            finally:
                if nudges is not None:
                    nudges.cancel()
            await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

    def _greet(self, wire: Wire) -> None:
        run_id = wire.facts.run_id
        self.restores = self.restores or (self._run_id is not None and run_id != self._run_id)
        self._run_id = run_id
        self._told = None
        policy = wire.facts.eviction
        self.eviction = None if policy in (_EVICTION, None) else policy
        if self.eviction is not None and self.beats == 0:
            log.warning("%s", eviction_problem(self._config.place, self.eviction))

    async def _talk(self, wire: Wire) -> None:
        self._next_beat = self._clock()
        while True:
            is_beat = self._clock() >= self._next_beat or self._is_hurried
            if not is_beat and not self._waiting:
                await self._pause()
                continue
            if is_beat and (early := self._last_beat + _LEAST_SECONDS - self._clock()) > 0:
                await asyncio.sleep(early)
            await self._call(wire, is_beat=is_beat)

    async def _pause(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(max(0.0, self._next_beat - self._clock())):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _call(self, wire: Wire, *, is_beat: bool) -> None:
        asked = self._questions()
        said = self._payload("beat" if is_beat else "take", asked)
        sent, is_whole = self._clock(), self.restores or self._data is None
        self.calls += 1
        if is_beat:
            self._is_hurried = False
            self._last_beat, self._next_beat = sent, sent + self._config.beat_milliseconds / 1000
        try:
            answer = await wire.run(self._key, "beat" if is_beat else "take", said)
        except StoreUnavailableError:
            self.failed_calls += 1
            # Whoever still waits is asked for again on the next connection.
            self._waiting.extendleft(reversed([one for one in asked if not one.answer.done()]))
            raise
        if is_beat and is_whole:
            self._data = answer.get("data")
        self._hear(answer, sent, is_beat=is_beat)
        for one, told in zip(asked, _listed(answer.get("takes")), strict=False):
            if not one.answer.done():
                one.answer.set_result(told)

    def _questions(self) -> list[_Question]:
        asked: list[_Question] = []
        while self._waiting and len(asked) < _MOST_TAKES:
            one = self._waiting.popleft()
            if not one.answer.done():
                asked.append(one)
        return asked

    def _payload(self, verb: str, asked: Iterable[_Question] = ()) -> bytes:
        said: JsonObject = {
            "process": self.process,
            "replica": self.replica,
            "run": self._run_id,
            "data": self._data,
            "dead_ms": round(self._config.dead_after_seconds * 1000),
            "silent_ms": round((self._clock() - self._last_word) * 1000),
            "takes": [(one.part, one.question) for one in asked],
        }
        if verb in ("beat", "leave"):
            me = self._myself()
            if me is not self._told:
                said["member"] = msgspec.json.encode(me).decode()
                self._told = me
            said["confirmed"] = self.confirmed()
            said["parts"] = {name: part.report() for name, part in self._parts.items()}
            if self.restores:
                said["seen"] = ago_ms(*self.known, self._clock())
        return msgspec.json.encode(said)

    def _hear(self, answer: JsonObject, sent: float, *, is_beat: bool) -> None:
        self._is_open, self._is_late = True, False
        was_quarantined, self.is_quarantined = self.is_quarantined, bool(answer.get("quarantine"))
        if self.is_quarantined and not was_quarantined and self.beats:  # else it is new to both
            log.warning(
                "%s has other data than before: nothing new is granted until the others are back, "
                "and what is known here is written back",
                self._store,
            )
        left_ms = answer.get("quarantine_ms") or 0
        if self.is_quarantined and (not was_quarantined or left_ms <= 0):
            self.hurry()
        elif self.is_quarantined:  # what waits for its end waits no more
            self._next_beat = min(self._next_beat, self._clock() + (left_ms + 1) / 1000)
        self.restores = self.is_quarantined
        if not is_beat:
            return
        self.beats += 1
        self.beat_seconds = self._clock() - sent
        self.live = max(1, int(answer.get("live") or 1))
        self.members = read_members(answer.get("members"))
        if answer.get("unknown"):
            self._told = None
        self._last_word = sent
        if not self.is_quarantined:
            self.known = self.members, sent
        self._came_back()
        told: JsonObject = answer.get("parts") or {}
        self.is_understood = True
        for name, part in self._parts.items():
            try:
                part.accept(told.get(name) or {}, sent)
                self._misread.pop(name, None)
            except Exception as error:
                self.is_understood = False
                if str(error) != self._misread.get(name):  # else it was said
                    log.exception("the fleet's part %s could not take in its answer", name)
                self._misread[name] = str(error)
        self._first_beat.set()

    # --- alone, and not ------------------------------------------------------------------

    async def _watch(self) -> None:
        """Tell the parts when there was no word for the length of a lease."""
        lease = self._config.open_zone_lease_seconds
        while True:
            left = self._last_word + lease - self._clock()
            if left > 0 or self._is_cut_off:
                await asyncio.sleep(max(left, lease / 4))
            else:
                self._cut_off()

    def _cut_off(self) -> None:
        silent = self._clock() - self._last_word
        self._is_cut_off = True
        self.outages += 1
        self.alone_since = self.alone_since or self._now() - silent
        log.warning(
            "no word from %s for %.1f s: %s",
            self._store,
            silent,
            self.problem or "it does not answer",
        )
        for name, part in self._parts.items():
            try:
                part.cut_off(self._last_word)
            except Exception:
                log.exception("the fleet's part %s could not be cut off", name)

    def _came_back(self) -> None:
        if self._is_cut_off:
            log.info("%s answers again", self._store)
        elif self.beats == 1 and self._config.is_private:
            log.info("shares budgets, limits and switches with the other workers")
        elif self.beats == 1:
            log.info("replica %s is part of the fleet at %s", self.replica, self._config.place)
        self._is_cut_off = False
        self.alone_since = self.problem = None

    def _lost(self, why: str, *, is_first: bool) -> None:
        self.problem = why
        self._is_open = is_first
        if not is_first:
            for one in self._waiting:
                if not one.answer.done():
                    one.answer.set_exception(StoreUnavailableError(why))
            self._waiting.clear()

    # --- the rest ------------------------------------------------------------------------

    async def _hear_nudges(self) -> None:
        """Beat whenever another process says so; without it, a beat is a beat late."""
        while True:
            try:
                async with (
                    connected(self._config, knows=False, nodes=self._nodes) as wire,
                    aclosing(wire.listen(self._channel)) as messages,
                ):
                    async for process in messages:
                        if process != self.process:
                            self.hurry()
            except (StoreUnavailableError, ValueError):
                await asyncio.sleep(_PAUSES[-1])

    async def forget(self, replica: str) -> JsonObject:
        """Have a dead replica's processes forgotten; gives what each part says of it.

        Raises:
            StoreUnavailableError: the store can't be asked.
        """
        async with asyncio.timeout(1), connected(self._config, nodes=self._nodes) as wire:
            said = msgspec.json.decode(self._payload("forget"))
            question = msgspec.json.encode({**said, "replica_to_forget": replica})
            answer = await wire.run(self._key, "forget", question)
        found: JsonObject = answer.get("forgotten") or {}
        return found

    async def _leave(self) -> None:
        """Give back what this process holds; without the store it counts as dead after a while."""
        if self.beats == 0:
            return
        try:
            async with asyncio.timeout(1), connected(self._config, nodes=self._nodes) as wire:
                self._greet(wire)
                await wire.run(self._key, "leave", self._payload("leave"))
        except (StoreUnavailableError, TimeoutError) as error:
            log.warning("%s did not hear that this process leaves: %s", self._store, error)


def eviction_problem(place: str, policy: str) -> str:
    """What is wrong with a server that may drop keys, for people."""
    return (
        f"the fleet's store at {place} has maxmemory-policy {policy}, which may drop limits and "
        "switches; set it to noeviction"
    )


def _listed(value: object) -> list[JsonObject]:
    return value if is_list(value) else []
