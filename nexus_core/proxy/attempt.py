"""One attempt at one backend: slot, charge, exchange, and the answer relayed to the client."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from nexus_core.errors import UnsupportedFieldsError, UpstreamFailedError
from nexus_core.fleet.snapshot import BackendSnapshot, first_byte_seconds
from nexus_core.providers.base import Call
from nexus_core.providers.prepared import prepare_beside, prepare_here
from nexus_core.proxy.charge import ReportedUsage
from nexus_core.proxy.exchange import (
    Answer,
    AttemptFailedError,
    Exchange,
    Failure,
    reported_failure,
)
from nexus_core.proxy.guard import check_zone
from nexus_core.proxy.in_flight import InFlight, ProxyParts
from nexus_core.proxy.judge.fault import FailureKind
from nexus_core.proxy.judge.too_long import TooLong
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.proxy.streams.relay import StreamFaultError, StreamRelay
from nexus_core.proxy.streams.whole import LONG_TOKENS, collect, inner_stream
from nexus_core.routing.router import RouteDecision
from nexus_core.types import PrivacyZone
from nexus_core.upstream.base import UpstreamError


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
        parts, flight, decision = self.parts, self.flight, self.decision
        progress, registry, choice = flight.progress, parts.registry, decision.first
        assert choice is not None  # noqa: S101 - its slot is held, for the type checker
        request, backend, model = progress.request, choice.backend, choice.upstream_model
        name, envelope, inner = backend.name, request.envelope, None
        selected = SelectedRoute(backend, model, decision.reason)
        may_send = partial(registry.still_holds, backend)
        exchange = Exchange(parts.agents[name], flight.server, flight, may_send, parts.now)
        call: Call | None = None
        try:
            flight.decision = decision
            if backend.zone is not PrivacyZone.RESTRICTED:  # no prompt is kept from those that are
                check_zone(request.need, choice)
            progress.routed(selected, decision, self.number)
            progress.open_charge(backend, model)
            parts.strategy.next_turn()
            if (envelope.demand.completion_limit or 0) > LONG_TOKENS:
                inner = inner_stream(request.dialect, envelope)
                envelope = envelope if inner is None else inner.request
            wants_usage = (
                envelope.is_streaming
                and backend.type.is_cloud
                and parts.cost_tracker.is_priced(backend, model)
            )
            call = prepare_here(exchange.agent, envelope, model, wants_usage=wants_usage)
            if call is None:
                call = await prepare_beside(
                    exchange.agent, envelope, model, wants_usage=wants_usage
                )
            if call.translation is not None:
                progress.hints_dropped(call.translation.dropped)
            answer = await exchange.open(call, first_byte_seconds(backend, flight.server))
            if inner is not None and answer.status < 400:
                answer = await collect(exchange, answer, inner.collector())
            # Not counted: a local backend's prompt, or one that a whole answer's usage tells.
            if backend.type.is_cloud and (answer.relay or answer.usage is None):
                await progress.counted()
            self._has_answered(exchange, answer, selected)
            begin_answer(flight, answer)
            if answer.relay is not None:
                await _relay(flight, selected, answer.relay)
            flight.reply.finish()
            if answer.status < 400 and name in registry.cooldowns.circuits:
                registry.cooldowns.succeed(name, model)
        except AttemptFailedError as failed:
            failure = failed.failure
            progress.waited(exchange.seconds)
            progress.attempt_failed(name, failure, exchange.seconds)
            flight.blamed().learn(exchange.agent, model, failure)
            return FailedAttempt(failure, progress.selected or selected)
        except StreamFaultError as reported:
            assert call is not None  # noqa: S101 - it was sent, for the type checker
            failure = reported_failure(reported, name, call)
            flight.blamed().learn(exchange.agent, model, failure)
            progress.broke(f'backend "{name}": {reported}')
            flight.reply.finish()
        except UnsupportedFieldsError as error:
            if self.number == 1:
                raise
            # It only stands in for one that failed: another one may be able to.
            failure = Failure(error.message, error, kind=FailureKind.NOT_SENT)
            progress.attempt_failed(name, failure, 0.0)
            return FailedAttempt(failure, progress.selected or selected)
        except asyncio.CancelledError:
            # A whole answer may take any time: only of a stream it is said when it begins.
            is_silent = call is not None and call.is_streaming and not progress.has_begun
            if is_silent and flight.has_run_out:
                flight.blamed().add(name, model, flight.too_late)
            raise
        finally:
            is_unused = exchange.is_refused or not exchange.is_sent
            progress.exchange_ended(is_free=progress.reported_usage is None and is_unused)
            try:
                if exchange.is_open:
                    await exchange.close()
            finally:
                registry.release(name, choice.half_open_model)
        return None

    def _has_answered(self, exchange: Exchange, answer: Answer, selected: SelectedRoute) -> None:
        """The backend's answer begins: note how it behaves.

        Raises:
            AttemptFailedError: the prompt is too long for it, and another one may take it.
        """
        flight, parts, registry = self.flight, self.parts, self.parts.registry
        name, model, progress = selected.backend.name, selected.model, flight.progress
        progress.waited(exchange.seconds)
        registry.record_success(name, exchange.seconds * 1000)
        if answer.too_long is not None:
            self._look_for_a_longer_window(answer, answer.too_long, selected)
        if name in registry.cooldowns.circuits:
            registry.cooldowns.begin(name, model)
        if answer.status >= 400:
            flight.blamed().forgive()
        if flight.blame is not None:
            flight.blamed().settle(is_answered=True)
        demand = progress.request.envelope.demand
        parts.strategy.affinity.remember(demand.prefixes, name, demand.session)

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


def begin_answer(flight: InFlight, answer: Answer) -> None:
    """Begin the client's answer, from the route selected last; of a whole one, send all of it.

    Raises:
        UpstreamFailedError: it is an error, and a stream has begun that can only tell it.
    """
    progress, reply, relay = flight.progress, flight.reply, answer.relay
    if reply.is_early and answer.status >= 400:
        report = progress.request.dialect.read_error(answer.body)
        name = progress.route.backend.name if progress.route else ""
        words = report.words or f"answered {answer.status}"
        raise UpstreamFailedError(f'backend "{name}": {words}', status=answer.status)
    progress.answered(answer)
    selected = progress.selected
    assert selected is not None  # noqa: S101 - set with the route, for the type checker
    length = len(answer.body) if relay is None else None
    headers = reply.start(answer.status, answer.headers, selected, length=length)
    progress.began(selected.backend.name, answer.status, headers)
    if relay is None:
        reply.send(answer.body)


async def _relay(flight: InFlight, selected: SelectedRoute, relay: StreamRelay) -> None:
    """Relay a stream to its end, and note its reported usage.

    Raises:
        UpstreamFailedError: it ended early, or no data came within the idle timeout.
        StreamFaultError: the backend reported an error in the middle of it.
    """
    name, model = selected.backend.name, selected.model
    idle, is_whole = flight.server.idle_timeout_seconds, False
    try:
        await relay.pass_on(flight.reply, idle)
    except UpstreamError as error:
        why = relay.cut_text(str(error))
        flight.blamed().add(name, model, why)
        raise UpstreamFailedError(f'backend "{name}": {why}') from error
    except TimeoutError as error:
        why = f"no data for {idle:g} s"
        flight.blamed().add(name, model, why)
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
