"""A scripted upstream and a running Nexus in front of it, shared or one's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import httpx
import openai
import pytest
import pytest_asyncio

from .nexus_process import NexusProcess, backend_table, config_text
from .scripted_upstream import ScriptedUpstream

StartNexus: TypeAlias = Callable[..., Awaitable[NexusProcess]]

BACKEND_KEY = "sk-backend-0123456789abcdef"
MAX_BODY_BYTES = 256 * 1024

ROUTING = """
[routing.aliases]
"gpt-4" = "llama3:70b"
"outer" = "inner"
"inner" = "llama3:70b"
"secret-notes" = "gpt-4o"
[[routing.policies]]
model_pattern = "secret-*"
privacy = "restricted"
"""


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared_upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared_nexus(
    shared_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NexusProcess]:
    """For tests that leave no mark on it: nothing fails over, nothing becomes unhealthy."""
    url = shared_upstream.url
    text = config_text(
        backend_table("local", url, ["llama3:70b"], tier=2, priority=80),
        backend_table("renaming", f"{url}/v1", {"asked-name": "org/own-näme"}, type="vllm"),
        backend_table("cloud", url, ["gpt-4o"], type="openai", api_key_env="CLOUD_KEY", tier=4),
        server=f"max_body_bytes = {MAX_BODY_BYTES}",
        more=ROUTING,
    )
    directory = tmp_path_factory.mktemp("nexus")
    nexus = await _start(directory, text, {"CLOUD_KEY": BACKEND_KEY}, is_fresh=True)
    yield nexus
    await _end(nexus)


@pytest_asyncio.fixture(loop_scope="session")
async def upstream(shared_upstream: ScriptedUpstream) -> AsyncIterator[ScriptedUpstream]:
    shared_upstream.reset()
    yield shared_upstream
    shared_upstream.reset()


@pytest_asyncio.fixture(loop_scope="session")
async def http(shared_nexus: NexusProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=shared_nexus.url, timeout=10) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def openai_client(shared_nexus: NexusProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{shared_nexus.url}/v1", api_key="sk-client", max_retries=0, timeout=10
    ) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def start_nexus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StartNexus]:
    """Start a process of the test's own: `await start_nexus(config, CLOUD_KEY="…")`."""
    started: list[NexusProcess] = []

    async def start(config: str, *arguments: str, **environment: str) -> NexusProcess:
        directory = tmp_path_factory.mktemp("nexus")
        nexus = await _start(directory, config, environment, arguments)
        started.append(nexus)
        return nexus

    yield start
    await asyncio.gather(*(_end(nexus) for nexus in started))


async def _start(
    directory: Path,
    config: str,
    environment: dict[str, str],
    arguments: tuple[str, ...] = (),
    *,
    is_fresh: bool = False,
) -> NexusProcess:
    path = directory / "test.toml"
    path.write_text(config, encoding="utf-8")
    nexus = NexusProcess(directory)
    await nexus.start(["--config", str(path), *arguments], environment, is_fresh=is_fresh)
    return nexus


async def _end(nexus: NexusProcess) -> None:
    nexus.terminate()
    code = await nexus.wait()
    assert code == 0, nexus.stderr
    assert "Traceback" not in nexus.stderr
