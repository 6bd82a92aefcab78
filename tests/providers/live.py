"""A running Nexus in the test's own loop, with real sockets on both sides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import httpx
import openai

from nexus_core.api.server import bind, serve
from nexus_core.config import (
    BackendConfig,
    Config,
    HealthCheckConfig,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.gateway import Gateway
from nexus_core.types import BackendType, PrivacyZone

_TLS = ssl.create_default_context()  # never used; to make one for each client takes long

MODEL = "m"  # as clients ask for it, unless a test says otherwise
KEY = "sk-held-by-nexus-0123456789"


@dataclass(frozen=True, slots=True)
class LiveNexus:
    """What is in it, a client of it, and where it listens."""

    gateway: Gateway
    http: httpx.AsyncClient
    url: str

    def openai(self) -> openai.AsyncOpenAI:
        """The official client, for an `async with`."""
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="sk-client", max_retries=0)

    async def chat(self, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """A chat request for MODEL; a stream is read to its end."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], **fields}
        return await self.http.post("/v1/chat/completions", json=body, headers=headers)


def backend(kind: BackendType, url: str, upstream_model: str, **more: Any) -> BackendConfig:
    """A backend named like its type that serves MODEL under its own name."""
    values: dict[str, Any] = {
        "name": kind.value,
        "url": url,
        "type": kind,
        "zone": PrivacyZone.OPEN,
        "models": {MODEL: upstream_model},
        "api_key": KEY,
        "api_key_env": "PROVIDER_KEY",
    }
    return BackendConfig(**{**values, **more})


@asynccontextmanager
async def nexus_with(
    *backends: BackendConfig,
    server: dict[str, Any] | None = None,
    routing: dict[str, Any] | None = None,
) -> AsyncIterator[LiveNexus]:
    """Serve these backends, without health checks; the first one listed need not be preferred."""
    config = Config(
        server=ServerConfig.model_validate(server or {}),
        routing=RoutingConfig.model_validate({"strategy": "priority_only", **(routing or {})}),
        health_check=HealthCheckConfig(enabled=False),
        backends=backends,
    )
    gateway = Gateway(config)
    listener = bind("127.0.0.1", 0)
    url = "http://127.0.0.1:{1}".format(*listener.getsockname())
    stop, ready = asyncio.Event(), asyncio.Event()
    with closing(listener):
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(gateway, listener, stop=stop, ready=ready))
            await ready.wait()
            try:
                async with httpx.AsyncClient(base_url=url, timeout=20, verify=_TLS) as http:
                    yield LiveNexus(gateway, http, url)
            finally:
                stop.set()
