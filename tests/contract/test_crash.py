"""A Nexus that is killed under load: what it has answered is in its ledger, and it goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.money.ledger_rows import stored
from tests.waiting import until

from .bodies import ANSWER, chat
from .nexus_process import NexusProcess, backend_table, config_text
from .scripted_upstream import ScriptedUpstream, answers

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"
PRICING = """
[pricing.openai]
"m" = { input_per_1k = 1.0, output_per_1k = 2.0 }
[budget]
monthly_limit_usd = 1000000.0
"""
COST = 11_000_000  # of ANSWER, in nano-dollars: 3 and 4 tokens
LOSES_SECONDS = 1.0  # at most
ASKERS = 8


async def start(folder: Path, upstream: ScriptedUpstream) -> NexusProcess:
    cloud = backend_table("one", upstream.url, ["m"], type="openai", api_key_env="CLOUD_KEY")
    text = config_text(cloud, more=PRICING).replace('":memory:"', '"nexus.db"')
    (folder / "nexus.toml").write_text(text)
    nexus = NexusProcess(folder)
    await nexus.start(["--config", str(folder / "nexus.toml")], {"CLOUD_KEY": "sk-0123456789"})
    return nexus


async def ask_until_it_dies(client: httpx.AsyncClient, answered: dict[str, float]) -> None:
    """Note each answer's id and when it was read."""
    while True:
        try:
            answer = await client.post(CHAT, json=chat("m"))
        except httpx.TransportError:
            return
        assert answer.status_code == 200
        assert answer.headers["x-nexus-cost-estimated"] == "$0.011000"
        answered[answer.headers["x-nexus-request-id"]] = time.monotonic()


async def test_what_was_answered_a_second_before_a_kill_is_in_the_ledger(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)
    path, answered = tmp_path / "nexus.db", dict[str, float]()

    nexus = await start(tmp_path, upstream)
    async with httpx.AsyncClient(base_url=nexus.url) as client, asyncio.TaskGroup() as tasks:
        started = time.monotonic()
        for _ in range(ASKERS):
            tasks.create_task(ask_until_it_dies(client, answered))
        try:
            while time.monotonic() - started < 2.5 * LOSES_SECONDS:
                await upstream.wait_for_requests(len(upstream.received) + 1)
        finally:
            killed_at = time.monotonic()
            await nexus.kill()
    kept = stored(path, "request_id, cost_nano_usd")
    with closing(sqlite3.connect(path)) as connection:
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]

    older = {number for number, at in answered.items() if at < killed_at - LOSES_SECONDS}
    assert len(older) > 20
    assert older <= {number for number, _ in kept}
    assert {cost for _, cost in kept} == {COST}
    assert len({number for number, _ in kept}) == len(kept)
    assert integrity == "ok"


async def test_after_a_kill_the_next_start_goes_on(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)
    path = tmp_path / "nexus.db"
    first = await start(tmp_path, upstream)
    async with httpx.AsyncClient(base_url=first.url) as client:
        await client.post(CHAT, json=chat("m"))
        await until(lambda: bool(stored(path)))
    await first.kill()

    second = await start(tmp_path, upstream)
    try:
        async with httpx.AsyncClient(base_url=second.url) as client:
            answer = await client.post(CHAT, json=chat("m"))
        second.terminate()
        code = await second.wait()
    finally:
        await second.kill()

    assert (answer.status_code, code) == (200, 0)
    assert stored(path, "cost_nano_usd") == [COST, COST]
    assert stored(path)[1] == answer.headers["x-nexus-request-id"]
    assert "another Nexus" not in second.stderr
