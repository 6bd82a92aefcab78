"""A client that leaves ends the upstream request within a second and frees the slot."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from .bodies import ANSWER, FIRST, HELLO, chat
from .conftest import StartNexus
from .nexus_process import backend_table, config_text
from .scripted_upstream import ScriptedUpstream, answers, hang, streams

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"


async def test_leaving_mid_stream_closes_the_upstream(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    never = asyncio.Event()
    upstream.script = streams([FIRST, HELLO, never])

    async with http.stream("POST", CHAT, json=chat(stream=True)) as answer:
        async for _ in answer.aiter_raw():
            break

    async with asyncio.timeout(1):
        await upstream.last.closed.wait()


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_leaving_before_the_first_byte_closes_the_upstream(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, is_streaming: bool
) -> None:
    upstream.script = hang

    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(http.post(CHAT, json=chat(stream=is_streaming)))
        await upstream.wait_for_requests(1)
        asking.cancel()

    async with asyncio.timeout(1):
        await upstream.last.closed.wait()


async def test_a_slot_is_free_again_after_its_client_has_left(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    nexus = await start_nexus(
        config_text(backend_table("one", upstream.url, ["m"], max_concurrent=1))
    )
    async with httpx.AsyncClient(base_url=nexus.url) as client:
        for count in range(1, 4):
            upstream.script = hang
            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(client.post(CHAT, json=chat("m")))
                await upstream.wait_for_requests(count)
                asking.cancel()
            async with asyncio.timeout(1):
                await upstream.last.closed.wait()
        upstream.script = answers(ANSWER)

        answer = await client.post(CHAT, json=chat("m"))

    assert answer.status_code == 200
