"""One request at one backend: send it, wait for the answer to begin, judge what came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from nexus_core.agents import Call, InferenceAgent, Response
from nexus_core.agents.base import ReportedError, read_whole
from nexus_core.config import ServerConfig
from nexus_core.errors import NexusError, OutOfDescriptorsError, UpstreamFailedError
from nexus_core.events import TokenUsage
from nexus_core.proxy.meter import text_length
from nexus_core.proxy.relay import StreamRelay
from nexus_core.translation.openai import parse_json, read_service_tier, read_usage
from nexus_core.upstream.base import (
    MAY_SEND,
    Headers,
    UpstreamConnectError,
    UpstreamConnectTimeoutError,
    UpstreamError,
    UpstreamNotSentError,
    UpstreamShortageError,
)

_MAX_PARSED_BYTES = 1024 * 1024  # a longer answer is relayed without a look at its usage

_FAILS_OVER = frozenset({408, 429}) | frozenset(range(500, 600))
_REFUSED_KEY = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that can be passed on: whole, or as a stream whose first bytes are here."""

    status: int
    headers: Headers
    body: bytes  # the whole of it, or a stream's first bytes
    relay: StreamRelay | None  # None: the answer is whole
    usage: TokenUsage | None = None
    service_tier: str | None = None  # as the answer says

    @property
    def text_bytes(self) -> int:
        """How much a whole answer says without telling its usage."""
        return 0 if self.relay or self.usage else text_length(self.body)


class FailureKind(Enum):
    """What a failure says, and of what: see `Forwarder._learn` for what follows from each."""

    FAILED = auto()  # of this model at this backend
    UNREACHABLE = auto()  # no connection: of the whole backend
    BUSY = auto()  # 429: of this model at this backend
    ACCOUNT_BUSY = auto()  # a 429 that speaks of the whole account
    NO_CREDIT = auto()  # 402, insufficient_quota: the account can't pay
    REFUSED_KEY = auto()  # 401, and Google's 400 for a bad key
    FORBIDDEN = auto()  # 403: perhaps about this prompt or model; a probe has to tell
    REFUSED_CONTENT = auto()  # about this request: counts against nobody
    NOT_SENT = auto()  # while the connection was made it was switched off, removed or changed


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed, and what the client gets if no other backend answers."""

    why: str  # for people: never holds a key or a body
    verdict: Answer | NexusError  # the backend's own error answer, or ours
    status: int | None = None  # the backend's
    kind: FailureKind = FailureKind.FAILED
    headers: Headers = ()  # of the backend's answer, if it gave one


class AttemptFailedError(Exception):
    """The backend gave nothing that may be passed on; another one may."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.why)
        self.failure = failure


class Exchange:
    """One request at one backend, from the first byte sent to the connection given back."""

    def __init__(
        self, agent: InferenceAgent, server: ServerConfig, may_send: Callable[[], bool]
    ) -> None:
        self._agent = agent
        self._server = server
        self._may_send = may_send  # asked once more when there is a connection
        self.is_sent = False  # the backend may have read it
        self._response: Response | None = None
        self._relay: StreamRelay | None = None
        self.seconds = 0.0  # what waiting for the backend took up to the first byte

    async def open(self, call: Call) -> Answer:
        """Send the request and return once the answer has begun, or is whole if it is no stream.

        Raises:
            AttemptFailedError: nothing may be passed on from this backend.
        """
        limit = self._server.first_byte_timeout_seconds if call.is_streaming else None
        started = time.monotonic()
        before = MAY_SEND.set(self._is_about_to_send)
        try:
            async with asyncio.timeout(limit):
                self._response = await self._agent.send(call)
                return await self._judge(self._response, call)
        except UpstreamNotSentError as error:
            raise self._failed(
                str(error), status=503, code="switched_off", kind=FailureKind.NOT_SENT
            ) from error
        except UpstreamShortageError as error:
            shortage = OutOfDescriptorsError.now()
            raise AttemptFailedError(
                Failure(str(error), shortage, kind=FailureKind.NOT_SENT)
            ) from error
        except UpstreamConnectTimeoutError as error:
            raise self._failed(
                str(error), status=504, code="upstream_timeout", kind=FailureKind.UNREACHABLE
            ) from error
        except UpstreamConnectError as error:
            why = self._agent.keys.cut_text(str(error))
            raise self._failed(why, kind=FailureKind.UNREACHABLE) from error
        except ReportedError as error:
            if error.status in _REFUSED_KEY:
                raise self._refused(error.status) from error
            kind = FailureKind.BUSY if error.status == 429 else FailureKind.FAILED
            why = self._agent.keys.cut_text(str(error))
            raise self._failed(why, status=error.status, kind=kind) from error
        except UpstreamError as error:
            raise self._failed(self._agent.keys.cut_text(str(error))) from error
        except TimeoutError as error:
            why = f"no first byte within {limit:g} s"
            raise self._failed(why, status=504, code="upstream_timeout") from error
        finally:
            MAY_SEND.reset(before)
            self.seconds = time.monotonic() - started

    @property
    def is_refused(self) -> bool:
        """The backend's answer is an error, whether all of it has come or not."""
        return self._response is not None and self._response.status >= 400

    def _is_about_to_send(self) -> bool:
        self.is_sent = self._may_send()
        return self.is_sent

    async def close(self) -> None:
        """End the exchange, finished or not."""
        if self._relay is not None:
            await self._relay.close()
        if self._response is not None:
            await self._response.close()

    async def _judge(self, response: Response, call: Call) -> Answer:
        cut = self._agent.keys.cut_text
        status = response.status
        headers = tuple((name, cut(value)) for name, value in response.headers)
        if 300 <= status < 400:
            raise self._failed(f"answers {status}, and redirects are not followed")
        if call.is_streaming and status == 200 and _is_event_stream(headers):
            self._relay = relay = StreamRelay(
                response,
                self._agent.keys,
                hides_usage=call.adds_usage,
                choices=_choices(call),
            )
            return Answer(status, headers, await relay.first(), relay)
        body = self._agent.keys.cut(await read_whole(response, self._server.max_response_bytes))
        if status in _REFUSED_KEY:
            raise self._refused(status)
        answer = Answer(status, headers, body, None)
        if status in _FAILS_OVER:
            kind = FailureKind.BUSY if status == 429 else FailureKind.FAILED
            raise AttemptFailedError(Failure(f"answered {status}", answer, status, kind, headers))
        if status < 300:
            usage, tier = self._read(body)
            return Answer(status, headers, body, None, response.usage or usage, tier)
        return answer

    def _read(self, body: bytes) -> tuple[TokenUsage | None, str | None]:
        """Usage and service tier; something else than a JSON object is a failed attempt."""
        if len(body) > _MAX_PARSED_BYTES:
            if not (body.lstrip().startswith(b"{") and body.rstrip().endswith(b"}")):
                raise self._failed("answered with something that is not JSON")
            return None, None
        try:
            fields = parse_json(body)
        except ValueError as error:
            raise self._failed("answered with something that is not JSON") from error
        if not isinstance(fields, dict):
            raise self._failed("answered with JSON that is not an object")
        return read_usage(fields), read_service_tier(fields)

    def _refused(self, status: int) -> AttemptFailedError:
        # In our own words: providers repeat the key, or a part of it, in theirs.
        error = UpstreamFailedError(
            f'backend "{self._agent.name}" refused the key Nexus holds for it ({status}); '
            f"{self._agent.auth_hint}",
            code="upstream_auth_failed",
        )
        return AttemptFailedError(
            Failure(f"refused the key ({status})", error, status, FailureKind.REFUSED_KEY)
        )

    def _failed(
        self,
        why: str,
        *,
        status: int = 502,
        code: str = "upstream_error",
        kind: FailureKind = FailureKind.FAILED,
    ) -> AttemptFailedError:
        error = UpstreamFailedError(
            f'backend "{self._agent.name}": {why}', status=status, code=code
        )
        seen = self._response.status if self._response is not None else None
        return AttemptFailedError(Failure(why, error, seen, kind))


def _choices(call: Call) -> int:
    wanted = call.asked.get("n")
    return min(wanted, 128) if isinstance(wanted, int) and wanted > 1 else 1


def _is_event_stream(headers: Headers) -> bool:
    return any(
        name == "content-type" and value.lstrip().lower().startswith("text/event-stream")
        for name, value in headers
    )
