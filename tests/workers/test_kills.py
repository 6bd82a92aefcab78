"""Four workers, one of which is killed again and again under load: for a minute."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import httpx
import pytest

from tests.contract.bodies import ANSWER, chat
from tests.contract.scripted_upstream import ScriptedUpstream, answers
from tests.waiting import until
from tests.workers.several import recorded, start_several, workers

CHAT = "/v1/chat/completions"
KILLS, ASKERS, WORKERS = 15, 6, 4


@pytest.mark.slow_fleet
async def test_kills_under_load_refuse_no_connection_lose_no_row_and_no_number_falls(
    tmp_path: Path,
) -> None:
    answered: list[str] = []
    seen: list[tuple[int, int]] = []
    stop = asyncio.Event()

    async def ask(url: str) -> None:
        while not stop.is_set():
            async with httpx.AsyncClient(base_url=url, timeout=20) as client:
                try:
                    answer = await client.post(CHAT, json=chat("m"))
                except (httpx.ReadError, httpx.RemoteProtocolError):
                    continue  # it was with the one that was killed
                assert answer.status_code == 200
                answered.append(answer.headers["x-nexus-request-id"])

    async def look(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            while not stop.is_set():
                try:
                    told = (await client.get("/v1/stats")).raise_for_status().json()
                except (httpx.ReadError, httpx.RemoteProtocolError):
                    continue
                seen.append((told["requests"], told["finished"]))

    async with ScriptedUpstream() as upstream:
        upstream.script = answers(ANSWER)
        nexus = await start_several(tmp_path, upstream.url, WORKERS)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(ASKERS):
                tasks.create_task(ask(nexus.url))
            tasks.create_task(look(nexus.url))
            for _ in range(KILLS):
                before = len(answered)
                await until(lambda before=before: len(answered) > before + 20)  # type: ignore[misc]
                await until(lambda: len(workers(nexus.pid)) == WORKERS)
                os.kill(random.choice(list(workers(nexus.pid).values())), signal.SIGKILL)
            await until(lambda: len(workers(nexus.pid)) == WORKERS)
            stop.set()
        ids = set(answered)
        await until(lambda: ids <= recorded(tmp_path / "nexus.db"))
        async with httpx.AsyncClient(base_url=nexus.url) as client:
            final = (await client.get("/v1/stats")).json()
        nexus.terminate()
        assert await nexus.wait() == 0, nexus.stderr

    assert [one for one, _ in seen] == sorted(one for one, _ in seen)
    assert [one for _, one in seen] == sorted(one for _, one in seen)
    assert final["requests"] >= len(ids)
