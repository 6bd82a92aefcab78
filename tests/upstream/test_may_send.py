"""A request that is no longer wanted once there is a connection is not sent on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nexus_core.upstream.base import MAY_SEND, UpstreamEngine, UpstreamNotSentError
from tests.faults.raw_server import RawRequest, RawServer, send_answer
from tests.upstream.test_engines import engine, pieces_of, post, send_to

__all__ = ["engine"]


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
) -> None:
    await send_answer(writer, b"well")


@contextmanager
def may_send(*verdicts: bool) -> Iterator[list[bool]]:
    """The next of these each time it is asked; those that are left."""
    left = list(verdicts)
    token = MAY_SEND.set(lambda: left.pop(0))
    try:
        yield left
    finally:
        MAY_SEND.reset(token)


async def test_it_is_asked_when_there_is_a_connection_and_before_anything_is_sent(
    engine: UpstreamEngine,
) -> None:
    async with RawServer(answer) as upstream:
        with (
            may_send(False),
            pytest.raises(UpstreamNotSentError, match="before the request was sent"),
        ):
            await send_to(engine, post(upstream.url))

        response = await send_to(engine, post(upstream.url))
        body = b"".join(await pieces_of(response))

    assert body == b"well"
    assert upstream.connections == 2
    assert len(upstream.requests) == 1


async def test_it_is_asked_for_a_kept_connection_too(engine: UpstreamEngine) -> None:
    async with RawServer(answer) as upstream:
        with may_send(True, False) as left:
            response = await send_to(engine, post(upstream.url))
            await pieces_of(response)
            await response.close()
            with pytest.raises(UpstreamNotSentError):
                await send_to(engine, post(upstream.url))

    assert left == []
    assert len(upstream.requests) == 1
