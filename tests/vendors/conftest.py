"""Two scripted upstreams, each with a script of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.scripted_upstream import ScriptedUpstream


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest_asyncio.fixture
async def spare() -> AsyncIterator[ScriptedUpstream]:
    """Of a second backend, for what fails over."""
    async with ScriptedUpstream() as upstream:
        yield upstream
