"""One exchange with a backend: send, wait for the first byte, judge the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from nexus_core.config.schema import ServerConfig
from nexus_core.dialects.base.bridge import AnswerWriter
from nexus_core.dialects.base.dialect import Dialect
from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.base.stream import OpeningState
from nexus_core.errors import (
    ContextLengthError,
    NexusError,
    OutOfDescriptorsError,
    UpstreamFailedError,
)
from nexus_core.observe.events import TokenUsage
from nexus_core.providers import Call, InferenceAgent, Response
from nexus_core.providers.base import ReportedError, WayBack, read_whole, whole_at_hand
from nexus_core.providers.passed_stream import PassedStream
from nexus_core.providers.rewritten_stream import RewrittenStream
from nexus_core.proxy.deadlines import NEVER, Deadlines
from nexus_core.proxy.judge.content_type import as_json, as_stream, labelled_for
from nexus_core.proxy.judge.fault import FailureKind, Fault, judge_report
from nexus_core.proxy.judge.too_long import TooLong
from nexus_core.proxy.retry_after import rounded_up, with_wait
from nexus_core.proxy.streams.relay import StreamFaultError, StreamRelay
from nexus_core.upstream.base import (
    Headers,
    UpstreamConnectError,
    UpstreamConnectTimeoutError,
    UpstreamError,
    UpstreamNotSentError,
    UpstreamShortageError,
)

_MAY_NAME_WAIT = frozenset({429, 503, 529})


class Answer(msgspec.Struct, frozen=True, eq=False):
    """An answer that can be passed on: whole, or as a stream whose first bytes are here."""

    status: int
    headers: Headers
    body: bytes  # the whole of it; empty of a stream
    relay: StreamRelay | None  # None: the answer is whole
    usage: TokenUsage | None = None
    service_tier: str | None = None  # as the answer says
    text_bytes: int = 0  # how much a whole answer says without telling its usage
    too_long: TooLong | None = None  # an error: the prompt is longer than the window


class Failure(msgspec.Struct, frozen=True):
    """How an attempt failed, and what the client gets if no other backend answers."""

    why: str  # for people: never holds a key or a body
    verdict: Answer | NexusError  # the backend's own error answer, or ours
    status: int | None = None  # the backend's
    kind: FailureKind = FailureKind.FAILED
    headers: Headers = ()  # of the backend's answer, with the wait that its body asks for


class AttemptFailedError(Exception):
    """A failed attempt: nothing may be passed on; another backend may answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.why)
        self.failure = failure


class _AdditionRefusedError(Exception):
    """The backend refuses what Nexus added to the request."""

    def __init__(self, way_back: WayBack) -> None:
        super().__init__("refuses what was added to the request")
        self.way_back = way_back


class Exchange:
    """One exchange with a backend, from the first byte sent to the released connection."""

    def __init__(
        self,
        agent: InferenceAgent,
        server: ServerConfig,
        deadlines: Deadlines,
        may_send: Callable[[], bool],
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            may_send: asked once more when there is a connection.
            now: seconds since the epoch: some waits are told as a moment.
        """
        self.agent = agent
        self.server = server
        self.deadlines = deadlines
        self._may_send = may_send
        self._now = now
        self.is_sent = False  # the backend may have read it
        self.is_open = False  # there is an answer, which was not read to its end
        self._response: Response | None = None
        self._relay: StreamRelay | None = None
        self.seconds = 0.0  # what waiting for the backend took up to the first byte

    async def open(self, call: Call, first_byte_seconds: float) -> Answer:
        """Send the request and return once the answer has begun, or is whole if it is no stream.

        Args:
            first_byte_seconds: how long a stream's first content may take.

        Raises:
            AttemptFailedError: nothing may be passed on from this backend.
        """
        limit, deadlines = first_byte_seconds, self.deadlines
        started, way_back = time.monotonic(), None
        if call.is_streaming:
            deadlines.wait_at = asyncio.get_running_loop().time() + limit
        try:
            while True:
                self._response = response = await self.agent.send(call, self._is_about_to_send)
                self.is_open = True
                status, headers = response.status, self._checked_headers(response)
                try:
                    if status < 300 and call.is_streaming:
                        answer = await self._begin(response, headers, call)
                    else:
                        most = self.server.max_response_bytes
                        body = whole_at_hand(response, most)
                        if body is None:
                            body = await read_whole(response, most)
                        self.is_open = False
                        answer = self._whole(status, headers, body, call)
                except _AdditionRefusedError as refused:  # once more, without it
                    way_back = refused.way_back
                    await self.close()
                    self._relay = self._response = None
                    call = way_back.plain()
                    continue
                if way_back is not None and answer.status < 400:  # else it was about something else
                    way_back.remember()
                return answer
        except UpstreamNotSentError as error:
            raise self.failed(
                str(error), status=503, code="switched_off", kind=FailureKind.NOT_SENT
            ) from error
        except UpstreamShortageError as error:
            shortage = OutOfDescriptorsError.now()
            raise AttemptFailedError(
                Failure(str(error), shortage, kind=FailureKind.NOT_SENT)
            ) from error
        except UpstreamConnectTimeoutError as error:
            raise self.failed(
                str(error), status=504, code="upstream_timeout", kind=FailureKind.UNREACHABLE
            ) from error
        except UpstreamConnectError as error:
            why = self.agent.keys.cut_text(str(error))
            raise self.failed(why, kind=FailureKind.UNREACHABLE) from error
        except ReportedError as error:
            return self._reported(error, call)
        except UpstreamError as error:
            raise self.failed(self.agent.keys.cut_text(str(error))) from error
        except (asyncio.CancelledError, TimeoutError) as error:
            if isinstance(error, asyncio.CancelledError) and not deadlines.wait_ran_out():
                raise
            why = f"no first byte within {limit:g} s"
            raise self.failed(why, status=504, code="upstream_timeout") from error
        finally:
            deadlines.wait_at = NEVER
            self.seconds = time.monotonic() - started

    @property
    def is_refused(self) -> bool:
        """The backend's answer is an error, whether all of it has come or not."""
        return self._response is not None and self._response.status >= 400

    def _is_about_to_send(self) -> bool:
        self.is_sent = is_sent = self._may_send()
        return is_sent

    async def close(self) -> None:
        """End the exchange, finished or not."""
        if self._response is not None:
            is_read = self._relay is not None and self._relay.is_over
            await self._response.close(is_read=is_read)

    def _checked_headers(self, response: Response) -> Headers:
        """The headers of an answer, with the key cut out.

        Raises:
            AttemptFailedError: by its status it is no answer.
        """
        status, keys = response.status, self.agent.keys
        if not 200 <= status <= 599:
            raise self.failed(f"answered with an invalid HTTP status ({status})")
        if 300 <= status < 400:
            raise self.failed(f"answered with a redirect ({status}); redirects are not followed")
        return keys.cut_headers(response.headers) if keys.has_key else response.headers

    async def _begin(self, response: Response, headers: Headers, call: Call) -> Answer:
        """The answer to a request for a stream, whatever its label says."""
        keys = self.agent.keys
        stream = response.stream
        if stream is None:
            reader = call.dialect.read_stream(
                call.request, keys.cut_text, hides_usage=call.adds_usage
            )
            stream = PassedStream(reader, keys)
        if call.writer is not None:
            stream = RewrittenStream(stream, call.writer.stream())
        self._relay = relay = StreamRelay(
            response,
            stream,
            keys,
            self.deadlines,
            model=call.model,
            max_inflated_bytes=self.server.max_response_bytes,
        )
        state = await relay.begin()
        opening = relay.opening
        if state is OpeningState.FAULTY and opening.report is not None:
            fault = judge_report(opening.report, None, call.model)
            return self._faulty(fault, headers, opening.reported.encode(), call, is_inside=True)
        if state is OpeningState.NO_STREAM:
            raise self.failed("answered with neither an event stream nor JSON")
        if state is not OpeningState.WHOLE:
            shown = as_stream(headers, _shown_by(call).stream_type)
            return Answer(response.status, shown, b"", relay)
        limit, held = self.server.max_response_bytes, bytes(opening.held)
        rest = await relay.rest(limit - len(held))
        if rest is None:
            raise self.failed(f"answer over max_response_bytes ({limit})")
        body = held + rest
        whole = self._read_whole(response.status, headers, keys.cut(body), call)
        if whole.status >= 400:
            return whole
        try:
            body = call.dialect.as_stream(call.request, whole.body)
            if call.writer is not None:
                rewriter = call.writer.stream()
                body = rewriter.write(body) + rewriter.end(whole.usage)
        except ValueError as error:
            raise self.failed("answered a streaming request without a stream") from error
        return replace(whole, headers=as_stream(headers, _shown_by(call).stream_type), body=body)

    def _whole(self, status: int, headers: Headers, body: bytes, call: Call) -> Answer:
        """Judge a whole body, and write it in the client's format."""
        keys = self.agent.keys
        answer = self._read_whole(status, headers, keys.cut(body) if keys.has_key else body, call)
        if call.writer is None or answer.status >= 400:
            return answer
        try:
            return replace(answer, body=call.writer.whole(answer.body, answer.usage))
        except ValueError as error:
            raise self.failed(str(error)) from error

    def _read_whole(self, status: int, headers: Headers, body: bytes, call: Call) -> Answer:
        dialect = call.dialect
        if status >= 400:
            fault = judge_report(dialect.read_error(body), status, call.model)
            return self._faulty(fault, headers, body, call)
        # What is known of it beside the body counts before what the body tells.
        usage = self._response.usage if self._response is not None else None
        try:
            read = dialect.read_answer(call.request, body, wants_usage=usage is None)
        except ValueError as error:
            raise self.failed(str(error)) from error
        if read.report is not None:
            fault = judge_report(read.report, None, call.model)
            return self._faulty(fault, headers, body, call, is_inside=True)
        usage = usage or read.usage
        said = 0 if usage else dialect.text_bytes(body)
        return Answer(status, as_json(headers), body, None, usage, read.service_tier, said)

    def _faulty(
        self, fault: Fault, headers: Headers, body: bytes, call: Call, *, is_inside: bool = False
    ) -> Answer:
        """An error answer, or how it ends the attempt.

        Args:
            body: with the key cut out.
            is_inside: the error stands in a body or a stream under a good status.
        """
        fault = without_echo(fault, call)
        if call.way_back is not None and call.way_back.is_refusal(fault.status, body):
            raise _AdditionRefusedError(call.way_back)
        if fault.kind is FailureKind.REFUSED_KEY:
            raise self._refused(fault.status)
        if fault.too_long is not None and not (fault.too_long.is_named and call.writer is None):
            return self._too_long(fault, fault.too_long, call, headers)
        if is_inside:
            headers = as_json(headers)
            body = call.dialect.as_error(body, fault.words, fault.status)
        else:
            headers = labelled_for(headers, body)
        if fault.status in _MAY_NAME_WAIT:
            headers = with_wait(headers, call.dialect.read_wait(body), self._now())
        shown = rounded_up(headers, self._now())
        if call.writer is not None:
            wait = next((value for name, value in shown if name == "retry-after"), None)
            body, shown = call.writer.error(body, fault.status, wait), as_json(shown)
        answer = Answer(fault.status, shown, body, None, too_long=fault.too_long)
        if not fault.fails_over:
            return answer
        why = f"answered {fault.status}"
        if is_inside:
            why = f"answered with an error in the body ({fault.status}): {fault.words}"
        raise AttemptFailedError(Failure(why, answer, fault.status, fault.kind, headers))

    def _too_long(self, fault: Fault, told: TooLong, call: Call, headers: Headers = ()) -> Answer:
        """An error answer by which every client knows that its prompt is too long."""
        needed, maximum = told.needed, told.maximum
        if needed is None and maximum is not None:
            counted = call.request.demand.prompt_tokens
            needed = counted if counted > maximum else None
        more = f'backend "{self.agent.name}": {fault.words}'
        if needed is not None and maximum is not None:
            more = f'the context window of {call.model!r} at backend "{self.agent.name}"'
        error = ContextLengthError.of(needed, maximum, more)
        shown = (*as_json(headers), ("x-should-retry", "false"))
        body = call.dialect.error(error)
        if call.writer is not None:
            body = call.writer.error(body, fault.status)
        return Answer(fault.status, shown, body, None, too_long=told)

    def _reported(self, error: ReportedError, call: Call) -> Answer:
        """An error that a translated provider tells in a stream, or in a model's own words."""
        words = self.agent.keys.cut_text(str(error))
        report = ErrorReport(words, error.kind)
        fault = without_echo(judge_report(report, error.status, call.model), call)
        if fault.kind is FailureKind.REFUSED_KEY:
            raise self._refused(fault.status) from error
        if fault.too_long is not None:
            return self._too_long(fault, fault.too_long, call)
        if not fault.fails_over:
            body = call.dialect.write_error(words, error.kind)
            if call.writer is not None:
                body = call.writer.error(body, fault.status)
            return Answer(fault.status, as_json(()), body, None)
        failure = self.failed(words, status=fault.status, kind=fault.kind).failure
        failure = replace(failure, status=fault.status)
        if error.wait_seconds is not None and isinstance(failure.verdict, NexusError):
            asked = (("retry-after", f"{error.wait_seconds:.6f}"),)
            failure.verdict.headers = rounded_up(asked, self._now())
            failure = replace(failure, headers=asked)
        raise AttemptFailedError(failure) from error

    def _refused(self, status: int) -> AttemptFailedError:
        # In our own words: providers repeat the key, or a part of it, in theirs.
        error = UpstreamFailedError(
            f'backend "{self.agent.name}" refused its API key ({status}); {self.agent.auth_hint}',
            code="upstream_auth_failed",
        )
        return AttemptFailedError(
            Failure(f"refused the key ({status})", error, status, FailureKind.REFUSED_KEY)
        )

    def failed(
        self,
        why: str,
        *,
        status: int = 502,
        code: str = "upstream_error",
        kind: FailureKind = FailureKind.FAILED,
    ) -> AttemptFailedError:
        """The failure of this exchange, in Nexus's words."""
        error = UpstreamFailedError(f'backend "{self.agent.name}": {why}', status=status, code=code)
        seen = self._response.status if self._response is not None else None
        return AttemptFailedError(Failure(why, error, seen, kind))


def _shown_by(call: Call) -> Dialect | AnswerWriter:
    """Whose format the client gets."""
    return call.dialect if call.writer is None else call.writer


def reported_failure(reported: StreamFaultError, name: str, call: Call) -> Failure:
    """An error that a stream told in its middle; one about the request counts against nobody."""
    fault = without_echo(reported.fault, call)
    error = UpstreamFailedError(f'backend "{name}": {reported}', status=fault.status)
    kind = fault.kind if fault.fails_over else FailureKind.REFUSED_CONTENT
    return Failure(fault.words, error, fault.status, kind)


def without_echo(fault: Fault, call: Call) -> Fault:
    """The fault, not going by phrases that the request holds: servers repeat prompts in errors.

    Else one prompt could give the whole backend a cooldown.
    """
    while fault.otherwise is not None and (
        fault.phrase.encode() in call.body or call.request.mentions(fault.phrase)
    ):
        fault = fault.otherwise
    return fault
