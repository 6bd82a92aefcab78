"""Whole answers that take long, asked for as a stream inside and collected.

A server sends the head of a whole answer when that is done: of 64,000 tokens that takes longer than
any limit that a hung server should have. Of a stream every chunk is seen, so that the limits of
streams count instead: that for the first content, and that between two chunks.
"""

from __future__ import annotations

import asyncio
import time

from msgspec.structs import replace

from nexus_core.dialects.base.dialect import Dialect, InnerStream, StreamCollector, StreamsInside
from nexus_core.dialects.request import Request
from nexus_core.proxy.deadlines import NEVER
from nexus_core.proxy.exchange import Answer, Exchange
from nexus_core.proxy.judge.content_type import as_json
from nexus_core.proxy.streams.relay import StreamFaultError, StreamRelay
from nexus_core.types import Operation
from nexus_core.upstream.base import UpstreamError, UpstreamProtocolError

# Above so many, Anthropic's own SDKs refuse to ask without a stream: ten minutes at a rate of
# 128,000 tokens an hour. anthropic/_base_client.py, _calculate_nonstreaming_timeout
LONG_TOKENS = 21_333


def inner_stream(dialect: Dialect, request: Request) -> InnerStream | None:
    """How to ask for a stream in place of a long whole answer; None: its format has no way."""
    if request.is_streaming or request.operation is not Operation.CHAT:
        return None
    return dialect.inner_stream(request) if isinstance(dialect, StreamsInside) else None


class CollectingSink:
    """Where a relay sends a stream that is collected."""

    def __init__(self, collector: StreamCollector, max_bytes: int) -> None:
        """`max_bytes`: of the stream, whose events are several times as long as their text."""
        self._collector = collector
        self._left = max_bytes
        self.fault: str | None = None  # why it can't be collected

    def send(self, data: bytes) -> None:
        """Take a part of the stream."""
        self._left -= len(data)
        if self._left < 0:
            self.fault = "answer over max_response_bytes"
        if self.fault is not None:
            return
        try:
            self._collector.feed(data)
        except ValueError as error:
            self.fault = str(error)

    async def drain(self) -> None:
        """Nothing waits.

        Raises:
            UpstreamProtocolError: the stream is too long, or not of this format.
        """
        self.check()

    def check(self) -> None:
        """
        Raises:
            UpstreamProtocolError: the stream is too long, or not of this format.
        """
        if self.fault is not None:
            raise UpstreamProtocolError(self.fault)


async def collect(exchange: Exchange, answer: Answer, collector: StreamCollector) -> Answer:
    """The whole answer that a stream tells, in the client's format.

    The limit of the whole request counts no longer: that between two chunks does.

    Raises:
        AttemptFailedError: it broke off, or nothing came for too long.
    """
    deadlines, server, started = exchange.deadlines, exchange.server, time.monotonic()
    sink = CollectingSink(collector, server.max_response_bytes)
    deadlines.request_at = NEVER
    try:
        if answer.relay is None:  # it was no stream, and was made one
            sink.send(answer.body)
        else:
            await answer.relay.pass_on(sink, server.idle_timeout_seconds)
        sink.check()
        whole = replace(answer, headers=as_json(answer.headers), body=collector.whole(), relay=None)
        return whole if answer.relay is None else _with_usage(whole, answer.relay)
    except BaseException as error:
        # The next backend has as long as the first one had.
        now = asyncio.get_running_loop().time()
        deadlines.request_at = now + server.request_timeout_seconds
        match error:
            case StreamFaultError():
                words = exchange.agent.keys.cut_text(str(error))
                fault = error.fault
                raise exchange.failed(words, status=fault.status, kind=fault.kind) from error
            case TimeoutError():
                why = f"no data for {server.idle_timeout_seconds:g} s"
                raise exchange.failed(why, status=504, code="upstream_timeout") from error
            case UpstreamError() | ValueError():
                raise exchange.failed(exchange.agent.keys.cut_text(str(error))) from error
            case _:
                raise
    finally:
        exchange.seconds += time.monotonic() - started


def _with_usage(answer: Answer, relay: StreamRelay) -> Answer:
    said = 0 if relay.usage else relay.text_bytes
    return replace(answer, usage=relay.usage, service_tier=relay.service_tier, text_bytes=said)
