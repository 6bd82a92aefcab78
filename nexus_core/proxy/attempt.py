"""One attempt at one backend: slot, charge, exchange, and the answer relayed to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from nexus_core.dialects.base import InnerStream
from nexus_core.errors import UnsupportedFieldsError, UpstreamFailedError
from nexus_core.fleet.registry import Registry
from nexus_core.fleet.snapshot import BackendSnapshot, first_byte_seconds
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.bus import EventBus
from nexus_core.providers import InferenceAgent
from nexus_core.providers.base import Call
from nexus_core.providers.prepared import prepared
from nexus_core.proxy.charge import ReportedUsage
from nexus_core.proxy.exchange import (
    Answer,
    AttemptFailedError,
    Exchange,
    Failure,
    reported_failure,
)
from nexus_core.proxy.guard import check_zone
from nexus_core.proxy.in_flight import InFlight
from nexus_core.proxy.judge.fault import FailureKind
from nexus_core.proxy.judge.too_long import TooLong
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.proxy.streams.relay import StreamFaultError, StreamRelay
from nexus_core.proxy.streams.whole import LONG_TOKENS, collect, inner_stream
from nexus_core.routing.router import RouteDecision
from nexus_core.routing.scoring import Strategy
from nexus_core.types import PrivacyZone
from nexus_core.upstream.base import UpstreamError


class ProxyParts(msgspec.Struct, frozen=True, kw_only=True):
    """Shared parts of all attempts: registry, agents, strategy, cost tracker, bus, clock."""

    agents: Mapping[str, InferenceAgent]  # by the backend's name
    registry: Registry
    strategy: Strategy
    cost_tracker: CostTracker
    bus: EventBus
    now: Callable[[], float]  # seconds since the epoch
    models_known: Callable[[], Awaitable[None]]  # returns after the first look at every backend
    doubt: Callable[[str], None]  # has a probe find out whether a backend refuses the key


class FailedAttempt(msgspec.Struct, frozen=True):
    """An attempt that failed before the client's answer began: another backend may be tried."""

    failure: Failure
    route: SelectedRoute  # whose failure it is


class Attempt(msgspec.Struct, eq=False):
    """One exchange with the first candidate of a decision, whose slot is already held."""

    parts: ProxyParts
    flight: InFlight
    decision: RouteDecision
    number: int  # 1 for the first backend tried

    async def run(self) -> FailedAttempt | None:
        """Run the attempt; gives its failure, or None if the client was answered. Frees the slot.

        Raises:
            NexusError: the request is over; no other backend may be tried.
        """
        parts, progress, choice = self.parts, self.flight.progress, self.decision.first
        assert choice is not None  # noqa: S101 - its slot is held, for the type checker
        request, backend = progress.request, choice.backend
        agent = parts.agents[backend.name]
        selected = SelectedRoute(backend, choice.upstream_model, self.decision.reason)
        may_send = partial(parts.registry.still_holds, backend)
        exchange = Exchange(agent, self.flight.server, self.flight.deadlines, may_send, parts.now)
        try:
            self.flight.blame.begin(self.decision)
            if backend.zone is not PrivacyZone.RESTRICTED:  # no prompt is kept from those that are
                check_zone(request.need, choice)
            progress.routed(selected, self.decision, self.number)
            progress.open_charge(backend, selected.model)
            parts.strategy.next_turn()
            asked, inner = request.envelope, None
            if (asked.demand.completion_limit or 0) > LONG_TOKENS:
                inner = inner_stream(request.dialect, asked)
                asked = asked if inner is None else inner.request
            call = await prepared(
                agent,
                asked,
                selected.model,
                wants_usage=asked.is_streaming
                and backend.type.is_cloud
                and parts.cost_tracker.is_priced(backend, selected.model),
            )
            if call.translation is not None:
                progress.hints_dropped(call.translation.dropped)
            failure = await self._exchange(exchange, call, selected, inner)
        except UnsupportedFieldsError as error:
            if self.number == 1:
                raise
            # It only stands in for one that failed: another one may be able to.
            failure = Failure(error.message, error, kind=FailureKind.NOT_SENT)
            progress.attempt_failed(backend.name, failure, 0.0)
        finally:
            is_unused = exchange.is_refused or not exchange.is_sent
            progress.exchange_ended(is_free=progress.reported_usage is None and is_unused)
            try:
                await exchange.close()
            finally:
                parts.registry.release(backend.name, choice.half_open_model)
        return None if failure is None else FailedAttempt(failure, progress.selected or selected)

    async def _exchange(
        self, exchange: Exchange, call: Call, selected: SelectedRoute, inner: InnerStream | None
    ) -> Failure | None:
        """Send the call and relay its answer; report the backend's behaviour to the registry."""
        progress, blame, registry = self.flight.progress, self.flight.blame, self.parts.registry
        agent, name, model = exchange.agent, selected.backend.name, selected.model
        try:
            limit = first_byte_seconds(selected.backend, self.flight.server)
            answer = await exchange.open(call, limit)
            if inner is not None and answer.status < 400:
                answer = await collect(exchange, answer, inner.collector())
            # Not counted: a local backend's prompt, or one that a whole answer's usage tells.
            if selected.backend.type.is_cloud and (answer.relay or answer.usage is None):
                await progress.counted()
            progress.waited(exchange.seconds)
            registry.record_success(name, exchange.seconds * 1000)
            if answer.too_long is not None:
                self._look_for_a_longer_window(answer, answer.too_long, selected)
            if name in registry.cooldowns.circuits:
                registry.cooldowns.begin(name, model)
            if answer.status >= 400:
                blame.forgive()
            if blame.unsettled:
                blame.settle(is_answered=True)
            demand = progress.request.envelope.demand
            self.parts.strategy.affinity.remember(demand.prefixes, name, demand.session)
            await deliver(self.flight, answer)
            if answer.status < 400 and name in registry.cooldowns.circuits:
                registry.cooldowns.succeed(name, model)
        except AttemptFailedError as failed:
            progress.waited(exchange.seconds)
            progress.attempt_failed(name, failed.failure, exchange.seconds)
            blame.learn(agent, model, failed.failure)
            return failed.failure
        except StreamFaultError as reported:
            blame.learn(agent, model, reported_failure(reported, name, call))
            progress.broke(f'backend "{name}": {reported}')
            self.flight.reply.finish()
        except asyncio.CancelledError:
            # A whole answer may take any time: only of a stream it is said when it begins.
            is_silent = call.is_streaming and not progress.has_begun
            if is_silent and self.flight.has_run_out:
                blame.add(name, model, self.flight.too_late)
            raise
        return None

    def _look_for_a_longer_window(
        self, answer: Answer, told: TooLong, selected: SelectedRoute
    ) -> None:
        """End the attempt where another candidate's window may hold the prompt.

        Where neither window is known, it is not asked.

        Raises:
            AttemptFailedError: there is one.
        """
        progress = self.flight.progress
        window = told.maximum or _window(selected.backend, selected.model)
        tokens = max(progress.demand.prompt_tokens, told.needed or 0, (window or 0) + 1)
        others = (
            _window(choice.backend, choice.upstream_model)
            for choice in self.decision.order
            if choice.backend.name != selected.backend.name
        )
        if any(bool(window) if other is None else other >= tokens for other in others):
            progress.needs_window(tokens)
            why = f"the prompt is too long for it ({answer.status})"
            raise AttemptFailedError(
                Failure(why, answer, answer.status, FailureKind.TOO_LONG, answer.headers)
            )


def _window(backend: BackendSnapshot, model: str) -> int | None:
    """The context window that the backend tells of its model, in tokens."""
    details = backend.details.get(model)
    return None if details is None else details.context_tokens


async def deliver(flight: InFlight, answer: Answer) -> None:
    """Relay an answer to the client, from the route selected last.

    Raises:
        UpstreamFailedError: its stream ended early, or no data came within the idle timeout; or it
            is an error, and a stream has begun that can only tell it.
        StreamFaultError: the backend reported an error in the middle of its stream.
    """
    progress, reply = flight.progress, flight.reply
    if reply.is_early and answer.status >= 400:
        report = progress.request.dialect.read_error(answer.body)
        name = progress.route.backend.name if progress.route else ""
        words = report.words or f"answered {answer.status}"
        raise UpstreamFailedError(f'backend "{name}": {words}', status=answer.status)
    progress.answered(answer)
    selected = progress.selected
    assert selected is not None  # noqa: S101 - set with the route, for the type checker
    length = len(answer.body) if answer.relay is None else None
    headers = reply.start(answer.status, answer.headers, selected, length=length)
    progress.began(selected.backend.name, answer.status, headers)
    if answer.relay is None:
        reply.send(answer.body)
    else:
        await _relay(flight, selected, answer.relay)
    reply.finish()


async def _relay(flight: InFlight, selected: SelectedRoute, relay: StreamRelay) -> None:
    """Relay a stream to its end, and note its reported usage."""
    name, model = selected.backend.name, selected.model
    idle, is_whole = flight.server.idle_timeout_seconds, False
    try:
        await relay.pass_on(flight.reply, idle)
    except UpstreamError as error:
        why = relay.cut_text(str(error))
        flight.blame.add(name, model, why)
        raise UpstreamFailedError(f'backend "{name}": {why}') from error
    except TimeoutError as error:
        why = f"no data for {idle:g} s"
        flight.blame.add(name, model, why)
        raise UpstreamFailedError(
            f'backend "{name}": {why}', status=504, code="upstream_timeout"
        ) from error
    else:
        is_whole = True
    finally:
        flight.progress.relayed(
            ReportedUsage(
                usage=relay.usage,
                service_tier=relay.service_tier,
                text_bytes=relay.text_bytes,
                is_whole=is_whole,
            )
        )
