"""Backends of every format, and Ollama's own client, for its API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import ollama

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from tests.scenarios.nexus import Nexus, backend

CHAT, GENERATE, EMBED, EMBEDDINGS = (
    f"/api/{name}" for name in ("chat", "generate", "embed", "embeddings")
)
SHORT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
COUNTS = {
    "total_duration": 5_000_000,
    "load_duration": 1_000_000,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 2_000_000,
    "eval_count": 9,
    "eval_duration": 1_500_000,
}


def native(url: str, **more: Any) -> BackendConfig:
    """An Ollama server that is reached over its own API."""
    return backend("ollama-gpu", url, type=BackendType.OLLAMA, apis=("ollama",), **more)


def line(**fields: Any) -> bytes:
    """One line of a stream of Ollama's."""
    head = {"model": "llama3:8b", "created_at": "2026-11-30T10:00:00.123456Z"}
    return json.dumps(head | fields).encode() + b"\n"


def piece(text: str, **more: Any) -> bytes:
    """A piece of an answer."""
    return line(message={"role": "assistant", "content": text, **more}, done=False)


def last(reason: str = "stop", **more: Any) -> bytes:
    """The last line of a stream, or a whole answer."""
    message = {"role": "assistant", "content": "", **more}
    return line(message=message, done=True, done_reason=reason, **COUNTS)


STREAM = [piece("Hel"), piece("lo."), last()]


def lines_of(body: bytes) -> list[dict[str, Any]]:
    """The lines of a stream; fails where one is blank or no JSON."""
    assert body.endswith(b"\n")
    return [json.loads(one) for one in body[:-1].split(b"\n")]


async def ask(nexus: Nexus, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    """Post a body."""
    return await nexus.http.post(path, json=body, headers=headers)


@asynccontextmanager
async def client(nexus: Nexus) -> AsyncIterator[ollama.AsyncClient]:
    """Ollama's client."""
    found = ollama.AsyncClient(host=str(nexus.http.base_url))
    try:
        yield found
    finally:
        await found._client.aclose()
