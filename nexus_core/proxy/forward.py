"""Forward a request: try the candidates in order, fail over, relay the answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from nexus_core import descriptors
from nexus_core.aliases import resolve_aliases
from nexus_core.config.schema import RoutingConfig, ServerConfig
from nexus_core.dialects.request import Demand
from nexus_core.errors import NexusError, OutOfDescriptorsError, UpstreamFailedError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.near_names import shortlist
from nexus_core.proxy.attempt import Attempt, FailedAttempt, begin_answer
from nexus_core.proxy.deadlines import Sweeper
from nexus_core.proxy.exchange import Failure
from nexus_core.proxy.in_flight import InFlight, ProxyParts
from nexus_core.proxy.judge.fault import FailureKind
from nexus_core.proxy.progress import RequestProgress
from nexus_core.proxy.queue import QueueFullError, WaitingRoom
from nexus_core.proxy.reply import Permit, ProxyRequest, Reply
from nexus_core.proxy.wordless import Wordless
from nexus_core.routing.context import NOBODY_TRIED, ContextBuilder
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.plan_table import PlanTable
from nexus_core.routing.refusal import asked_name, is_unknown, refuse
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import Choice, RouteDecision
from nexus_core.types import PrivacyZone

if TYPE_CHECKING:
    from nexus_core.proxy.leases import Leases


class Forwarder:
    """Forwarder of requests to backends; one for the life of the process."""

    def __init__(
        self,
        parts: ProxyParts,
        queue: WaitingRoom | None,
        server: ServerConfig,
        routing: RoutingConfig,
    ) -> None:
        self._parts = parts
        self._queue = queue
        self._server = server
        self._routing = routing
        self._registry = parts.registry
        self._cost_tracker = parts.cost_tracker
        self.contexts = ContextBuilder(parts.registry, parts.strategy, parts.cost_tracker, queue)
        self._plans = PlanTable(self.contexts)
        self._sweeper = Sweeper[InFlight]()
        self._running = self._sweeper.watched
        self._is_ending = False
        self._idle: asyncio.Event | None = None  # while somebody waits for the end of all
        # Set where processes share: who waits for the open zone, and for the first word of all.
        self.wordless: Wordless | None = None
        self.first_word: Callable[[], Awaitable[object]] | None = None
        self.leases: Leases | None = None  # and what is asked for before a request is sent

    @property
    def in_flight(self) -> int:
        """Number of requests in flight."""
        return len(self._running)

    @property
    def in_flight_by_client(self) -> Counter[str | None]:
        """The same, by the name of the client key."""
        return Counter(flight.progress.request.client for flight in self._running)

    def configure(self, server: ServerConfig, routing: RoutingConfig) -> None:
        """Use these settings from the next request on."""
        self._server, self._routing = server, routing

    async def idle(self) -> None:
        """Return once no request is in flight."""
        if self._running:
            if self._idle is None:
                self._idle = asyncio.Event()
            await self._idle.wait()

    def end_all(self) -> None:
        """End every request in flight, streams with an error event, and every later one."""
        self._is_ending = True
        for flight in self._running:
            flight.end_with(_shutting_down())

    def end_zone(self, zone: PrivacyZone) -> int:
        """End the requests in flight at the zone's backends; gives their number."""
        return self._end(f"the {zone} zone", lambda backend: backend.zone is zone)

    def end_backend(self, name: str) -> int:
        """End the requests in flight at a backend; gives their number."""
        return self._end(f'backend "{name}"', lambda backend: backend.name == name)

    def _end(self, what: str, is_meant: Callable[[BackendSnapshot], bool]) -> int:
        ended = 0
        for flight in self._running:
            progress = flight.progress
            at_backend = (
                progress.route.backend if progress.route and progress.is_at_backend else None
            )
            if at_backend is not None and is_meant(at_backend):
                ended += flight.end_with(_switched_off(what))
        return ended

    async def forward(self, request: ProxyRequest, reply: Reply) -> None:
        """Answer a request through `reply`, in every case.

        Cancel the calling task when the client leaves: the upstream exchange ends with it.
        """
        parts, flight = self._parts, None
        progress = RequestProgress(request, parts.bus, self._cost_tracker, parts.now)
        progress.received()
        try:
            if request.permit is not None:
                asking = request.permit.enter(partial(self._expected_tokens, request))
                if asking is not None:
                    await self._ask_for_its_share(progress, asking)
            if self._is_ending:
                raise _shutting_down()
            loop = asyncio.get_running_loop()
            flight = InFlight(parts, progress, reply, self._server, loop)
            self._sweeper.watch(flight, loop)
            await self._try_candidates(flight)
        except asyncio.CancelledError:
            if flight is None or not flight.request_ran_out():
                progress.left()
                raise
            _tell(progress, reply, flight.ended_with or flight.timed_out())
        except NexusError as error:
            _tell(progress, reply, error)
        except Exception as error:
            # Of something that is opened or imported late.
            if not (isinstance(error, (OSError, ImportError)) and descriptors.is_shortage(error)):
                progress.crashed()
                raise
            _tell(progress, reply, OutOfDescriptorsError.now())
        finally:
            if flight is not None:
                self._is_over(flight)
            try:
                progress.finished()
            finally:
                if request.permit is not None:
                    request.permit.leave(progress.record.tokens or 0)

    def _is_over(self, flight: InFlight) -> None:
        flight.close()
        self._running.discard(flight)
        if self._idle is not None and not self._running:
            self._idle.set()
            self._idle = None

    async def _ask_for_its_share(self, progress: RequestProgress, asking: Awaitable[None]) -> None:
        started = time.monotonic()
        await asking
        progress.waited(time.monotonic() - started)

    def _expected_tokens(self, request: ProxyRequest) -> int:
        """Tokens of a request and its answer, before a backend is chosen."""
        demand = request.envelope.demand
        expected = self._cost_tracker.expected_completion(request.need.model, demand)
        return demand.prompt_tokens + expected

    async def _try_candidates(self, flight: InFlight) -> None:
        tried = NOBODY_TRIED
        last: FailedAttempt | None = None  # what the client is told if nobody answers
        progress, tracker = flight.progress, self._cost_tracker
        has_no_prices = tracker.prices.packaged is None and self._registry.has_cloud
        if has_no_prices or not tracker.opened.is_set():
            await self._wait_for_spending(progress)
        if self.first_word is not None:
            await self.first_word()
            self.first_word = None
        try:
            number, most = 1, self._routing.max_retries + 1
            while True:
                decision = self._take(progress, tried)
                if not self._may_begin(decision, progress):
                    decision = await self._wait(decision, progress, tried)
                    if decision.first is None:
                        break
                failed = await Attempt(self._parts, flight, decision, number).run()
                if failed is None:
                    return
                kind, backend = failed.failure.kind, failed.route.backend
                if kind is FailureKind.NOT_SENT and self._is_cut_off(backend):
                    continue  # the next decision waits for it, or goes elsewhere
                tried = {**tried, backend.name: failed.failure.why}
                progress.may_wait_until(None)
                if last is None or kind is not FailureKind.NOT_SENT:
                    last = failed
                if number == most:
                    break
                number += 1
        finally:
            if flight.blame is not None:
                flight.blamed().settle()
        if last is None:
            raise await self._refusal(decision, progress.request.permit)
        progress.fell_back_to(last.route)
        await self._pass_failure_on(flight, last.failure)

    async def _pass_failure_on(self, flight: InFlight, failure: Failure) -> None:
        """Answer the client with the last backend's failure."""
        verdict = failure.verdict
        if isinstance(verdict, NexusError):
            raise verdict
        begin_answer(flight, verdict)
        flight.reply.finish()
        flight.progress.broke(failure.why)

    async def _wait_for_spending(self, progress: RequestProgress) -> None:
        """Wait until the month's spending is known: only then may money be spent."""
        tracker = self._cost_tracker
        started = time.monotonic()
        await tracker.ready(wants_prices=self._registry.has_cloud)
        progress.waited(time.monotonic() - started)

    async def _decide(self, progress: RequestProgress, tried: Mapping[str, str]) -> RouteDecision:
        """Decide the route; the slot of the first candidate, if any, is held for the caller.

        Nothing is awaited between a decision and its slot: no other request takes the slot, and no
        operator switches a backend, between the two.
        """
        decision = self._take(progress, tried)
        if self._may_begin(decision, progress):
            return decision
        return await self._wait(decision, progress, tried)

    def _may_begin(self, decision: RouteDecision, progress: RequestProgress) -> bool:
        """Whether there is a candidate, with what it needs of shared limits."""
        first, leases = decision.first, self.leases
        if first is None:
            return False
        progress.decided(decision, 0.0)
        return leases is None or leases.cover(progress, first)

    async def _wait(
        self, decision: RouteDecision, progress: RequestProgress, tried: Mapping[str, str]
    ) -> RouteDecision:
        """Wait for a candidate, or for what the first one needs of shared limits."""
        leases = self.leases
        if decision.first is None:
            decision = await self._wait_for_one(decision, progress, tried)
            first = decision.first
            if leases is None or first is None or leases.cover(progress, first):
                return decision
        assert leases is not None  # noqa: S101 - else it might begin, for the type checker
        return await self._obtain(leases, decision, progress, tried)

    async def _obtain(
        self,
        leases: Leases,
        decision: RouteDecision,
        progress: RequestProgress,
        tried: Mapping[str, str],
    ) -> RouteDecision:
        """Ask for what the first candidate needs of shared limits; without it decide anew."""
        first, started = decision.first, time.monotonic()
        assert first is not None  # noqa: S101 - its slot is held, for the type checker
        try:
            is_granted = await leases.obtain(progress, first)
        except BaseException:
            self._registry.release(first.backend.name, first.half_open_model)
            raise
        progress.waited(time.monotonic() - started)
        if is_granted and self._may_go_to(first, progress):
            return decision
        self._registry.release(first.backend.name, first.half_open_model)
        return await self._decide(progress, tried)

    async def _wait_for_one(
        self, decision: RouteDecision, progress: RequestProgress, tried: Mapping[str, str]
    ) -> RouteDecision:
        """Wait for a candidate where the decision has none, if there may be one soon."""
        started, has_waited = time.monotonic(), False
        if not all(drop.backend.models_known for drop in decision.dropped):
            await self._parts.models_known()
            decision = self._take(progress, tried)
        if decision.first is None and self._queue is not None and decision.waits_for:
            decision = await self._wait_in(self._queue, decision, progress, tried)
            has_waited = True
        elif decision.first is None and self.wordless is not None:
            decision = await self.wordless.wait(
                decision, lambda: self._take(progress, tried), self.leases
            )
        progress.decided(decision, time.monotonic() - started)
        first = decision.first
        if first is not None and has_waited and not self._may_go_to(first, progress):
            # Switched off, removed, changed or too dear between its turn in the queue and now.
            self._registry.release(first.backend.name, first.half_open_model)
            return await self._decide(progress, tried)
        return decision

    def _is_cut_off(self, backend: BackendSnapshot) -> bool:
        return self._registry.zones.is_cut_off and backend.zone is PrivacyZone.OPEN

    def _may_go_to(self, choice: Choice, progress: RequestProgress) -> bool:
        rule = self._cost_tracker.rule(progress.request.client)
        is_affordable = rule is None or rule(choice.backend, choice.upstream_model) is None
        return is_affordable and self._registry.still_holds(choice.backend)

    async def _wait_in(
        self,
        room: WaitingRoom,
        decision: RouteDecision,
        progress: RequestProgress,
        tried: Mapping[str, str],
    ) -> RouteDecision:
        if self.leases is not None and progress.queued_until is None:
            # A turn may find that another process took the slot: it waits on, and no longer.
            progress.may_wait_until(room.end_of_wait())
        request = progress.request
        try:
            return await room.wait(
                decision,
                lambda: self._plans.decide(request.need, progress.demand, request.client, tried),
                is_high=request.need.is_high_priority,
                until=progress.queued_until,
            )
        except QueueFullError:
            return decision
        except TimeoutError:
            return self._take(progress, tried)  # what it is refused for is how things are now

    def _take(self, progress: RequestProgress, tried: Mapping[str, str]) -> RouteDecision:
        request = progress.request
        decision = self._plans.decide(request.need, progress.demand, request.client, tried)
        if (first := decision.first) is not None:
            self._registry.acquire(first.backend.name, first.half_open_model)
        return decision

    def foresee(self, need: Requirements, demand: Demand, client: str | None) -> RouteDecision:
        """Where such a request would go now; nothing is taken, and nobody waits."""
        return self._plans.decide(need, demand, client, {})

    async def _refusal(self, decision: RouteDecision, permit: Permit | None) -> NexusError:
        """The error of a request that no backend can serve; similar names are searched in steps."""
        known: Iterable[str] = KnownNames(decision.context)
        if permit is not None:
            may_ask, aliases = permit.may_ask, self._routing.aliases
            known = (name for name in known if may_ask(resolve_aliases(name, aliases)))
        near = await shortlist(asked_name(decision), known) if is_unknown(decision) else ()
        return refuse(decision, near)


def _tell(progress: RequestProgress, reply: Reply, error: NexusError) -> None:
    """Tell the client of an error, in its answer or in place of it."""
    error.status = progress.request.dialect.status(error)
    progress.erred(error)
    if progress.has_begun:
        reply.send_error_event(error)
    else:
        progress.refused(reply.refuse(error, progress.selected))


def _shutting_down() -> UpstreamFailedError:
    why = "Nexus is shutting down; retry the request after the restart"
    return UpstreamFailedError(why, status=503, code="shutting_down")


def _switched_off(what: str) -> UpstreamFailedError:
    why = f"the operator switched {what} off"
    return UpstreamFailedError(why, status=503, code="switched_off")
