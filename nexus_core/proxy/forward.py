"""Try the candidates in order: slot, send, first byte, fail over; pass the answer on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from nexus_core import descriptors
from nexus_core.config.schema import RoutingConfig, ServerConfig
from nexus_core.errors import (
    NexusError,
    OutOfDescriptorsError,
    UnsupportedFieldsError,
    UpstreamFailedError,
)
from nexus_core.fleet.registry import BackendSnapshot, Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.near_names import shortlist
from nexus_core.observe.bus import EventBus
from nexus_core.providers import InferenceAgent
from nexus_core.providers.base import Call, prepared
from nexus_core.proxy.blame import Blame
from nexus_core.proxy.charge import ReportedUsage
from nexus_core.proxy.exchange import (
    Answer,
    AttemptFailedError,
    Exchange,
    Failure,
    reported_failure,
)
from nexus_core.proxy.guard import check_zone
from nexus_core.proxy.judge.fault import FailureKind
from nexus_core.proxy.progress import RequestRecord
from nexus_core.proxy.queue import QueueFullError, WaitingRoom
from nexus_core.proxy.relay import StreamFaultError, StreamRelay
from nexus_core.proxy.reply import ProxyRequest, Reply, SelectedRoute
from nexus_core.routing.context import ContextBuilder
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.refusal import asked_name, is_unknown, refuse
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import PrivacyZone
from nexus_core.upstream.base import UpstreamError


class Forwarder:
    """Carries requests to backends; one for the life of the process."""

    def __init__(
        self,
        agents: Mapping[str, InferenceAgent],
        registry: Registry,
        bus: EventBus,
        server: ServerConfig,
        routing: RoutingConfig,
        strategy: Strategy,
        queue: WaitingRoom | None,
        cost_tracker: CostTracker,
        *,
        now: Callable[[], float],
        models_known: Callable[[], Awaitable[None]],
        doubt: Callable[[str], None],
    ) -> None:
        self._agents = agents
        self._registry = registry
        self._bus = bus
        self._server = server
        self._routing = routing
        self._strategy = strategy
        self._queue = queue
        self._cost_tracker = cost_tracker
        self.contexts = ContextBuilder(registry, strategy, cost_tracker, queue)
        self._now = now
        self._models_known = models_known  # returns after the first look at every backend
        self._doubt = doubt  # has a probe find out whether a backend refuses the key
        self._running: dict[asyncio.Timeout, RequestRecord] = {}
        self._is_ending = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._running)

    def configure(self, server: ServerConfig, routing: RoutingConfig) -> None:
        """Go by these from the next request on."""
        self._server, self._routing = server, routing

    async def idle(self) -> None:
        """Return once no request is under way."""
        await self._idle.wait()

    def end_all(self) -> None:
        """End every request under way, streams with an error event, and all that come later."""
        self._is_ending = True
        at = asyncio.get_running_loop().time()
        for deadline in self._running:
            _expire(deadline, at)

    def end_zone(self, zone: PrivacyZone) -> int:
        """End the requests under way at the zone's backends; how many there were."""
        return self._end(f"the {zone} zone", lambda backend: backend.zone is zone)

    def end_backend(self, name: str) -> int:
        """End the requests under way at a backend; how many there were."""
        return self._end(f'backend "{name}"', lambda backend: backend.name == name)

    def _end(self, what: str, is_meant: Callable[[BackendSnapshot], bool]) -> int:
        at = asyncio.get_running_loop().time()
        ended = 0
        for deadline, record in self._running.items():
            at_backend = record.selected if record.is_at_backend else None
            if at_backend is not None and is_meant(at_backend.backend) and _expire(deadline, at):
                ended += 1
                record.ended_with = what
        return ended

    async def forward(self, request: ProxyRequest, reply: Reply) -> None:
        """Answer a request through `reply`, whatever happens to it.

        Cancel the calling task when the client leaves: the upstream exchange ends with it.
        """
        record = RequestRecord(request, self._bus, self._cost_tracker, self._now)
        record.receive()
        try:
            await self._within_deadline(record, reply)
        except asyncio.CancelledError:
            record.client_left = True
            raise
        except NexusError as error:
            record.failed, record.error = error.status >= 500, error.message
            if record.has_begun:
                await reply.send_error_event(error)
            else:
                record.status = error.status
                record.headers = await reply.refuse(error, record.selected)
        except Exception:
            record.failed, record.error = True, "internal error; see the Nexus log"
            record.status = record.status if record.has_begun else 500
            raise
        finally:
            record.finish()

    async def _within_deadline(self, record: RequestRecord, reply: Reply) -> None:
        seconds = self._server.request_timeout_seconds
        deadline = asyncio.timeout(0 if self._is_ending else seconds)
        try:
            async with deadline:
                self._running[deadline] = record
                record.deadline = deadline
                self._idle.clear()
                await self._try_candidates(record, reply)
        except TimeoutError as error:
            raise self._why_ended(record) from error
        except (OSError, ImportError) as error:  # of something that is opened or imported late
            if descriptors.is_shortage(error):
                raise OutOfDescriptorsError.now() from error
            raise
        finally:
            self._running.pop(deadline, None)
            if not self._running:
                self._idle.set()

    def _why_ended(self, record: RequestRecord) -> UpstreamFailedError:
        if self._is_ending:
            return UpstreamFailedError(
                "Nexus is shutting down; retry the request after the restart",
                status=503,
                code="shutting_down",
            )
        if record.ended_with is not None:
            return UpstreamFailedError(
                f"the operator switched {record.ended_with} off",
                status=503,
                code="switched_off",
            )
        return UpstreamFailedError(self._too_late(), status=504, code="upstream_timeout")

    def _too_late(self) -> str:
        seconds = self._server.request_timeout_seconds
        return f"no complete answer within request_timeout_seconds ({seconds:g})"

    async def _try_candidates(self, record: RequestRecord, reply: Reply) -> None:
        tried: dict[str, str] = {}
        failure: Failure | None = None
        blamed: SelectedRoute | None = None  # whose failure it is
        await self._wait_for_spending(record)
        blame = Blame(self._registry, record.request.envelope.body, self._doubt, self._now)
        try:
            attempt, most = 1, self._routing.max_retries + 1
            while (decision := await self._decide(record, tried)).order:
                found = await self._attempt(record, decision, attempt, reply, blame)
                if found is None:
                    return
                tried = {**tried, decision.order[0].backend.name: found.why}
                if failure is None or found.kind is not FailureKind.NOT_SENT:
                    failure, blamed = found, record.chosen
                if attempt == most:
                    break
                attempt += 1
        finally:
            blame.settle()
        if failure is None:
            raise await self._refusal(decision)
        record.chosen = blamed
        await self._pass_failure_on(record, failure, reply, blame)

    async def _wait_for_spending(self, record: RequestRecord) -> None:
        """Right after a start: no money is spent before the month's spending is known."""
        if self._cost_tracker.is_ready:
            return
        started = time.monotonic()
        has_cloud = any(backend.type.is_cloud for backend in self._registry.snapshots())
        await self._cost_tracker.ready(wants_prices=has_cloud)
        record.upstream_seconds += time.monotonic() - started

    async def _decide(self, record: RequestRecord, tried: dict[str, str]) -> RouteDecision:
        """A decision; if it has a candidate, the first one's slot is held for the caller.

        Between a decision and its slot nothing is awaited: no other request takes the slot, and no
        switch is turned, between the two.
        """
        decision, has_waited = self._take(record, tried), False
        started = time.monotonic()
        if not decision.order and not all(d.backend.models_known for d in decision.dropped):
            await self._models_known()
            decision = self._take(record, tried)
        if not decision.order and self._queue is not None and decision.waits_for:
            decision = await self._wait_in(self._queue, decision, record, tried)
            has_waited = True
        record.upstream_seconds += time.monotonic() - started  # all of it a wait for backends
        record.decision = decision
        first = decision.order[0].backend if decision.order and has_waited else None
        if first is not None and not self._may_go_to(decision, record):
            # Switched off, removed, changed or too dear between its turn in the queue and now.
            self._registry.release(first.name, decision.order[0].half_open_model)
            return await self._decide(record, tried)
        return decision

    def _may_go_to(self, decision: RouteDecision, record: RequestRecord) -> bool:
        choice = decision.order[0]
        rule = self._cost_tracker.rule(record.request.client)
        is_affordable = rule is None or rule(choice.backend, choice.upstream_model) is None
        return is_affordable and self._registry.still_holds(choice.backend)

    async def _wait_in(
        self,
        room: WaitingRoom,
        decision: RouteDecision,
        record: RequestRecord,
        tried: dict[str, str],
    ) -> RouteDecision:
        try:
            return await room.wait(
                decision,
                lambda: self._route(record, tried),
                is_high=record.request.need.is_high_priority,
            )
        except QueueFullError:
            return decision
        except TimeoutError:
            return self._take(record, tried)  # what it is refused for is how things are now

    def _take(self, record: RequestRecord, tried: dict[str, str]) -> RouteDecision:
        decision = self._route(record, tried)
        if decision.order:
            first = decision.order[0]
            self._registry.acquire(first.backend.name, first.half_open_model)
        return decision

    def _route(self, record: RequestRecord, tried: dict[str, str]) -> RouteDecision:
        request = record.request
        return route(request.need, self.contexts.build(request.client, tried))

    async def _attempt(
        self,
        record: RequestRecord,
        decision: RouteDecision,
        attempt: int,
        reply: Reply,
        blame: Blame,
    ) -> Failure | None:
        """One exchange with the first of the order; how it failed, or None if it was answered."""
        request, choice = record.request, decision.order[0]
        backend = choice.backend
        blame.candidates = decision.order
        agent = self._agents[backend.name]
        exchange = Exchange(
            agent, self._server, lambda: self._registry.still_holds(backend), self._now
        )
        with self._registry.held(backend.name, choice.half_open_model):
            check_zone(request.need, choice)
            selected = SelectedRoute(backend, choice.upstream_model, decision.reason)
            record.route(selected, decision, attempt)
            record.open_charge(backend, selected.model)
            self._strategy.next_turn()
            record.is_at_backend = True
            try:
                call = await prepared(
                    agent,
                    request.envelope,
                    selected.model,
                    wants_usage=self._cost_tracker.is_priced(backend, selected.model),
                )
                record.drop(call.translation.dropped if call.translation else ())
                return await self._exchange(record, exchange, call, selected, reply, blame)
            except UnsupportedFieldsError as error:
                if attempt == 1:
                    raise
                # It only stands in for one that failed: another one may be able to.
                failure = Failure(error.message, error, kind=FailureKind.NOT_SENT)
                record.fail_attempt(backend.name, failure, 0.0)
                return failure
            finally:
                if record.answered is None and (exchange.is_refused or not exchange.is_sent):
                    record.drop_charge()
                record.is_at_backend = False
                await exchange.close()

    async def _exchange(
        self,
        record: RequestRecord,
        exchange: Exchange,
        call: Call,
        selected: SelectedRoute,
        reply: Reply,
        blame: Blame,
    ) -> Failure | None:
        """Send the call and pass its answer on; what the registry learns of the backend by it."""
        agent, name, model = exchange.agent, selected.backend.name, selected.model
        try:
            answer = await exchange.open(call)
            await record.counted()
            record.upstream_seconds += exchange.seconds
            self._registry.record_success(name, exchange.seconds * 1000)
            self._registry.cooldowns.begin(name, model)
            if answer.status >= 400:
                blame.forgive()
            blame.answered()
            self._strategy.affinity.remember(record.request.envelope.demand.prefixes, name)
            await self._deliver(record, answer, reply, blame)
            if answer.status < 400:
                self._registry.cooldowns.succeed(name, model)
        except AttemptFailedError as failed:
            record.upstream_seconds += exchange.seconds
            record.fail_attempt(name, failed.failure, exchange.seconds)
            blame.learn(agent, model, failed.failure)
            return failed.failure
        except StreamFaultError as reported:
            blame.learn(agent, model, reported_failure(reported, name, call))
            record.failed, record.error = True, f'backend "{name}": {reported}'
            await reply.finish()
        except asyncio.CancelledError:
            # A whole answer may take any time: only of a stream it is said when it begins.
            is_silent = call.is_streaming and not record.has_begun
            if is_silent and record.has_run_out and not self._is_ending:
                blame.add(name, model, self._too_late())
            raise
        return None

    async def _deliver(
        self, record: RequestRecord, answer: Answer, reply: Reply, blame: Blame
    ) -> None:
        record.expect(answer)
        selected = record.selected
        assert selected is not None  # noqa: S101 - set with the route, for the type checker
        length = len(answer.body) if answer.relay is None else None
        headers = await reply.start(answer.status, answer.headers, selected, length=length)
        record.begin(selected.backend.name, answer.status, headers)
        if answer.relay is None:
            await reply.send(answer.body)
        else:
            await self._relay(record, selected, answer, answer.relay, reply, blame)
        await reply.finish()

    async def _relay(
        self,
        record: RequestRecord,
        selected: SelectedRoute,
        answer: Answer,
        relay: StreamRelay,
        reply: Reply,
        blame: Blame,
    ) -> None:
        name, model = selected.backend.name, selected.model
        idle, is_whole = self._server.idle_timeout_seconds, False
        try:
            await relay.pass_on(answer.body, reply, idle)
        except UpstreamError as error:
            why = relay.cut_text(str(error))
            blame.add(name, model, why)
            raise UpstreamFailedError(f'backend "{name}": {why}') from error
        except TimeoutError as error:
            why = f"no data for {idle:g} s"
            blame.add(name, model, why)
            raise UpstreamFailedError(
                f'backend "{name}": {why}', status=504, code="upstream_timeout"
            ) from error
        else:
            is_whole = True
        finally:
            record.answered = ReportedUsage(
                usage=relay.usage,
                service_tier=relay.service_tier,
                text_bytes=relay.text_bytes,
                is_whole=is_whole,
            )

    async def _pass_failure_on(
        self, record: RequestRecord, failure: Failure, reply: Reply, blame: Blame
    ) -> None:
        """The last backend's failure is the client's answer."""
        verdict = failure.verdict
        if isinstance(verdict, NexusError):
            raise verdict
        await self._deliver(record, verdict, reply, blame)
        record.failed, record.error = True, failure.why

    async def _refusal(self, decision: RouteDecision) -> NexusError:
        """Why nobody can serve it; near names are looked for a few at a time."""
        known = KnownNames(decision.context)
        near = await shortlist(asked_name(decision), known) if is_unknown(decision) else ()
        return refuse(decision, near)


def _expire(deadline: asyncio.Timeout, at: float) -> bool:
    """Let it end now; False if it is about to by itself, which can't be changed any more."""
    if deadline.expired():
        return False
    deadline.reschedule(at)
    return True
