"""SIGTERM: no new connections, running streams may end, exit code 0."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.waiting import until

from .bodies import ANSWER, DONE, FIRST, HELLO, STOP, STREAM, THERE, chat
from .conftest import StartNexus
from .nexus_process import NexusProcess, backend_table, config_text
from .scripted_upstream import ScriptedUpstream, streams

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"


async def until_it_refuses(nexus: NexusProcess) -> None:
    port = int(nexus.url.rpartition(":")[2])

    async def refuses() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return True
        writer.close()
        return False

    await until(refuses)


async def test_a_running_stream_ends_well_after_sigterm(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    upstream.script = streams([FIRST, HELLO, gate, THERE, STOP, DONE])
    nexus = await start_nexus(config_text(backend_table("one", upstream.url, ["m"])))

    async with (
        httpx.AsyncClient(base_url=nexus.url) as client,
        client.stream("POST", CHAT, json=chat("m", stream=True)) as answer,
    ):
        nexus.terminate()
        await until_it_refuses(nexus)
        gate.set()
        received = await answer.aread()
    code = await nexus.wait()

    assert received == b"".join(STREAM)
    assert code == 0


async def test_a_running_whole_answer_ends_well_after_sigterm(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    nexus = await start_nexus(config_text(backend_table("one", upstream.url, ["m"])))
    gate = asyncio.Event()
    upstream.script = streams([gate, json.dumps(ANSWER).encode()])

    async with httpx.AsyncClient(base_url=nexus.url) as client, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.post(CHAT, json=chat("m")))
        await upstream.wait_for_requests(1)
        nexus.terminate()
        await until_it_refuses(nexus)
        gate.set()

    assert asking.result().json() == ANSWER
    assert await nexus.wait() == 0


async def test_idle_connections_do_not_hold_up_the_end(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    nexus = await start_nexus(config_text(backend_table("one", upstream.url, ["m"])))
    loop = asyncio.get_running_loop()

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        await client.get("/health")
        started = loop.time()
        nexus.terminate()
        code = await nexus.wait()

    assert code == 0
    assert loop.time() - started < 3
