"""The dashboard attached through a real socket to a Nexus in another process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from nexus_core.observe.log_ring import LogRing
from nexus_tui.app import NexusApp
from nexus_tui.sources.remote import RemoteSource
from nexus_tui.sources.remote_http import RemoteError
from tests.contract.bodies import ANSWER, chat
from tests.contract.nexus_process import NexusProcess, backend_table, config_text
from tests.contract.scripted_upstream import ScriptedUpstream, answers
from tests.tui.screen import screen_text
from tests.waiting import until

PAUSES = (0.05, 0.1)
WITHIN_SECONDS = 20.0
KEYS = {"NEXUS_ADMIN_KEY": "admin-1", "NEXUS_API_KEYS": "client-1"}
AS_ADMIN = {"Authorization": "Bearer admin-1"}


@asynccontextmanager
async def attached(source: RemoteSource, logs: LogRing | None = None) -> AsyncIterator[NexusApp]:
    async with source:
        await source.connect()
        app = NexusApp(source, now=source.now, logs=logs)
        async with asyncio.TaskGroup() as tasks:
            link = tasks.create_task(source.run())
            async with app.run_test(size=(160, 40)):
                yield app
            link.cancel()
    assert app.crash is None


@asynccontextmanager
async def nexus_process(
    directory: Path, upstream: ScriptedUpstream, *arguments: str
) -> AsyncIterator[NexusProcess]:
    config = directory / "test.toml"
    tables = [backend_table(name, upstream.url, ["llama3:70b"]) for name in ("first", "second")]
    config.write_text(config_text(*tables), encoding="utf-8")
    nexus = NexusProcess(directory)
    await nexus.start(["--config", str(config), *arguments], KEYS)
    try:
        yield nexus
    finally:
        await nexus.kill()


async def test_a_switch_on_one_side_is_seen_on_the_other(
    tmp_path: Path,
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        nexus_process(tmp_path, upstream) as nexus,
        attached(RemoteSource(nexus.url, "Bearer admin-1")) as app,
        httpx.AsyncClient(base_url=nexus.url, headers=AS_ADMIN) as admin,
    ):
        app.show_tab("backends")
        await until(lambda: "first" in screen_text(app))

        await admin.post("/nexus/backends/first", json={"enabled": False})
        await until(lambda: "○ off" in screen_text(app))
        app.action_do("toggle")
        async with asyncio.timeout(WITHIN_SECONDS):
            while not await _is_enabled(admin, "first"):
                pass
        await until(lambda: "○ off" not in screen_text(app))


async def _is_enabled(admin: httpx.AsyncClient, name: str) -> bool:
    state = (await admin.get("/nexus/state")).json()
    return any(one["name"] == name and one["enabled"] for one in state["backends"])


async def test_requests_of_before_and_after_attaching_are_on_the_screen(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream, nexus_process(tmp_path, upstream) as nexus:
        upstream.script = answers(ANSWER)
        as_client = {"Authorization": "Bearer client-1"}
        async with httpx.AsyncClient(base_url=nexus.url, headers=as_client) as client:
            await client.post("/v1/chat/completions", json=chat())
            async with attached(RemoteSource(nexus.url, "Bearer admin-1")) as app:
                await until(lambda: "llama3:70b" in screen_text(app))
                await until(lambda: "requests 1 " in screen_text(app))
                await client.post("/v1/chat/completions", json=chat())
                await until(lambda: "requests 2 " in screen_text(app))
                await until(lambda: screen_text(app).count("capability-match ") >= 3)
                top = screen_text(app).splitlines()[0]

    assert "[ATTACHED 127.0.0.1]" in top


async def test_a_killed_server_is_stale_on_the_screen_and_live_again_once_it_is_back(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as upstream, nexus_process(tmp_path, upstream) as nexus:
        source = RemoteSource(nexus.url, "Bearer admin-1", pauses_seconds=PAUSES)
        port = nexus.url.rpartition(":")[2]
        async with attached(source) as app:
            app.show_tab("backends")
            await until(lambda: "first" in screen_text(app))

            await nexus.kill()
            await until(lambda: "[STALE" in screen_text(app))
            await until(lambda: "nothing listens" in screen_text(app))
            assert "first" in screen_text(app)
            app.action_do("toggle")
            await until(lambda: "changes are disabled" in screen_text(app))

            async with nexus_process(tmp_path, upstream, "--port", port) as again:
                assert again.url == nexus.url
                await until(lambda: "[STALE" not in screen_text(app), seconds=10)
                app.action_do("toggle")
                await until(lambda: "○ off" in screen_text(app))


async def test_the_log_of_the_server_is_on_the_screen_also_after_it_was_started_again(
    tmp_path: Path,
) -> None:
    logs = LogRing()
    as_client = {"Authorization": "Bearer client-1"}
    async with ScriptedUpstream() as upstream:
        upstream.script = answers(ANSWER)
        async with nexus_process(tmp_path, upstream) as nexus:
            source = RemoteSource(nexus.url, "Bearer admin-1", pauses_seconds=PAUSES, logs=logs)
            port = nexus.url.rpartition(":")[2]
            async with attached(source, logs) as app, httpx.AsyncClient() as client:
                app.show_tab("logs")
                await until(lambda: "listening on" in screen_text(app))
                chats = f"{nexus.url}/v1/chat/completions"
                first = await client.post(chats, json=chat(), headers=as_client)
                await until(lambda: first.headers["x-nexus-request-id"] in screen_text(app))

                await nexus.kill()
                await until(lambda: "[STALE" in screen_text(app))
                async with nexus_process(tmp_path, upstream, "--port", port):
                    await until(lambda: "[STALE" not in screen_text(app), seconds=10)
                    second = await client.post(chats, json=chat(), headers=as_client)
                    await until(lambda: second.headers["x-nexus-request-id"] in screen_text(app))
                    text = screen_text(app)

    assert text.count("listening on") == 2
    assert first.headers["x-nexus-request-id"] in text
    assert "client-1" not in str(logs.after(0))
    assert "admin-1" not in str(logs.after(0))


async def test_a_read_only_screen_changes_nothing(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream, nexus_process(tmp_path, upstream) as nexus:
        source = RemoteSource(nexus.url, "Bearer admin-1", is_read_only=True)
        async with (
            attached(source) as app,
            httpx.AsyncClient(base_url=nexus.url, headers=AS_ADMIN) as admin,
        ):
            app.show_tab("backends")
            app.action_do("toggle")
            await until(lambda: "read-only" in screen_text(app))
            await until(lambda: "[READ-ONLY]" in screen_text(app))

            assert await _is_enabled(admin, "first")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (None, "missing client key"),
        ("Bearer wrong", "invalid client key"),
        ("Bearer client-1", "requires the admin key"),
    ],
)
async def test_a_wrong_key_is_told_before_there_is_a_screen(
    tmp_path: Path, key: str | None, says: str
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        nexus_process(tmp_path, upstream) as nexus,
        RemoteSource(nexus.url, key) as source,
    ):
        with pytest.raises(RemoteError) as refused:
            await source.connect()

    assert says in str(refused.value)
    assert "NEXUS_ADMIN_KEY" in str(refused.value)
