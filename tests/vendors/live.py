"""A running Nexus as these tests ask it: through the HTTP surface and the official client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, RoutingConfig, ServerConfig
from nexus_core.gateway import Gateway
from tests.scenarios.nexus import CHAT, cloud, running

MODEL = "m"  # as clients ask for it
KEY = "sk-held-by-nexus-0123456789"


@dataclass(frozen=True, slots=True)
class LiveNexus:
    """What is in it, and a client of it."""

    gateway: Gateway
    http: httpx.AsyncClient

    def openai(self) -> openai.AsyncOpenAI:
        """The official client, for an `async with`."""
        url = f"{str(self.http.base_url).rstrip('/')}/v1"
        return openai.AsyncOpenAI(base_url=url, api_key="sk-client", max_retries=0)

    async def chat(self, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """A chat request for MODEL; a stream is read to its end."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], **fields}
        return await self.http.post(CHAT, json=body, headers=headers)


def backend(kind: BackendType, url: str, upstream_model: str, **more: Any) -> BackendConfig:
    """An open backend named like its type that serves MODEL under its own name."""
    values = {"api_key": KEY, "api_key_env": "PROVIDER_KEY", **more}
    return cloud(kind.value, url, type=kind, models={MODEL: upstream_model}, **values)


@asynccontextmanager
async def nexus_with(
    *backends: BackendConfig,
    server: dict[str, Any] | None = None,
    routing: dict[str, Any] | None = None,
) -> AsyncIterator[LiveNexus]:
    """Serve these backends, preferred by priority alone."""
    async with running(
        *backends,
        server=ServerConfig.model_validate(server or {}),
        routing=RoutingConfig.model_validate({"strategy": "priority_only", **(routing or {})}),
    ) as nexus:
        yield LiveNexus(nexus.gateway, nexus.http)
