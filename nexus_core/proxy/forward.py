"""Try the candidates in order: slot, send, first byte, fail over; pass the answer on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from nexus_core.agents import InferenceAgent
from nexus_core.config import RoutingConfig, ServerConfig
from nexus_core.errors import NexusError, UpstreamFailedError
from nexus_core.events import EventBus
from nexus_core.proxy.exchange import Answer, AttemptFailedError, Exchange, Failure
from nexus_core.proxy.record import RequestRecord
from nexus_core.proxy.reply import ProxyRequest, Reply, Served
from nexus_core.registry import Registry
from nexus_core.routing.refusal import refuse
from nexus_core.routing.router import RouteDecision, route
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
        *,
        now: Callable[[], float],
        models_known: Callable[[], Awaitable[None]],
    ) -> None:
        self._agents = agents
        self._registry = registry
        self._bus = bus
        self._server = server
        self._routing = routing
        self._now = now
        self._models_known = models_known  # returns after the first look at every backend
        self._deadlines: set[asyncio.Timeout] = set()
        self._is_ending = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._deadlines)

    async def idle(self) -> None:
        """Return once no request is under way."""
        await self._idle.wait()

    def end_all(self) -> None:
        """End every request under way, streams with an error event, and all that come later."""
        self._is_ending = True
        at = asyncio.get_running_loop().time()
        for deadline in self._deadlines:
            deadline.reschedule(at)

    async def forward(self, request: ProxyRequest, reply: Reply) -> None:
        """Answer a request through `reply`, whatever happens to it.

        Cancel the calling task when the client leaves: the upstream exchange ends with it.
        """
        record = RequestRecord(request, self._bus, self._now)
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
                record.headers = await reply.refuse(error, record.served)
        except Exception:
            record.failed, record.error = True, "Nexus itself failed; see the log"
            record.status = record.status if record.has_begun else 500
            raise
        finally:
            record.finish()

    async def _within_deadline(self, record: RequestRecord, reply: Reply) -> None:
        seconds = self._server.request_timeout_seconds
        deadline = asyncio.timeout(0 if self._is_ending else seconds)
        try:
            async with deadline:
                self._deadlines.add(deadline)
                self._idle.clear()
                await self._try_candidates(record, reply)
        except TimeoutError as error:
            if self._is_ending:
                raise UpstreamFailedError(
                    "Nexus is shutting down; send the request again once it is back",
                    status=503,
                    code="shutting_down",
                ) from error
            raise UpstreamFailedError(
                f"no whole answer within request_timeout_seconds ({seconds:g})",
                status=504,
                code="upstream_timeout",
            ) from error
        finally:
            self._deadlines.discard(deadline)
            if not self._deadlines:
                self._idle.set()

    async def _try_candidates(self, record: RequestRecord, reply: Reply) -> None:
        tried: dict[str, str] = {}
        failure: Failure | None = None
        for attempt in range(1, self._routing.max_retries + 2):
            decision = await self._decide(record, tried)
            if not decision.order:
                break
            failure = await self._attempt(record, decision, attempt, reply)
            if failure is None:
                return
            tried[decision.order[0].name] = failure.why
        if failure is None:
            raise refuse(decision, self._known_names())
        await self._pass_failure_on(record, failure, reply)

    async def _decide(self, record: RequestRecord, tried: dict[str, str]) -> RouteDecision:
        need = record.request.need
        decision = route(need, self._registry.snapshots(), tried)
        if not decision.order and not all(d.backend.models_known for d in decision.dropped):
            await self._models_known()
            decision = route(need, self._registry.snapshots(), tried)
        record.decision = decision
        return decision

    async def _attempt(
        self, record: RequestRecord, decision: RouteDecision, attempt: int, reply: Reply
    ) -> Failure | None:
        """One exchange with the first of the order; how it failed, or None if it was answered."""
        request = record.request
        backend = decision.order[0]
        served = Served(backend, backend.models[request.need.model], decision.reason)
        exchange = Exchange(self._agents[backend.name], self._server)
        # From the decision to here nothing is awaited: no other request takes the slot, and no
        # switch is turned, between the two.
        with self._registry.slot(backend.name):
            record.route(served, decision, attempt)
            try:
                answer = await exchange.open(
                    request.endpoint,
                    request.openai.body_for(served.model),
                    is_streaming=request.openai.is_streaming,
                )
                record.upstream_seconds += exchange.seconds
                self._registry.record_latency(backend.name, exchange.seconds * 1000)
                await self._deliver(record, answer, reply)
            except AttemptFailedError as failed:
                record.upstream_seconds += exchange.seconds
                record.fail_attempt(backend.name, failed.failure, exchange.seconds)
                if failed.failure.refused_key:
                    hint = self._agents[backend.name].auth_hint
                    self._registry.record_refused_key(
                        backend.name, f"{failed.failure.status}: {hint}"
                    )
                return failed.failure
            finally:
                await exchange.close()
        return None

    async def _deliver(self, record: RequestRecord, answer: Answer, reply: Reply) -> None:
        served = record.served
        assert served is not None  # noqa: S101 - set with the route, for the type checker
        record.usage = answer.usage
        length = len(answer.body) if answer.relay is None else None
        headers = await reply.start(answer.status, answer.headers, served, length=length)
        record.begin(served.backend.name, answer.status, headers)
        if answer.relay is None:
            await reply.send(answer.body)
        else:
            try:
                await answer.relay.pass_on(answer.body, reply, self._server.idle_timeout_seconds)
            except UpstreamError as error:
                agent = self._agents[served.backend.name]
                why = agent.keys.cut_text(str(error))
                raise UpstreamFailedError(f'backend "{agent.name}": {why}') from error
            except TimeoutError as error:
                raise UpstreamFailedError(
                    f'backend "{served.backend.name}": nothing came for '
                    f"{self._server.idle_timeout_seconds:g} s",
                    status=504,
                    code="upstream_timeout",
                ) from error
            finally:
                record.usage = answer.relay.usage
        await reply.finish()

    async def _pass_failure_on(self, record: RequestRecord, failure: Failure, reply: Reply) -> None:
        """The last backend's failure is the client's answer."""
        verdict = failure.verdict
        if isinstance(verdict, NexusError):
            raise verdict
        await self._deliver(record, verdict, reply)
        record.failed, record.error = True, failure.why

    def _known_names(self) -> list[str]:
        served = {name for snapshot in self._registry.snapshots() for name in snapshot.models}
        return sorted(served | set(self._routing.aliases))
