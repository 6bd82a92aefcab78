"""POST /v1/embeddings through a running Nexus: OpenAI's format, Ollama and Google."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from nexus_core.catalog import BackendType
from nexus_core.demo.simulated import (
    FULL_SPEED,
    Behaviour,
    GoogleFormat,
    OpenAIFormat,
    SimulatedServer,
)
from nexus_core.demo.simulated.answers import DIMENSIONS, Embeddable, make_vectors
from nexus_core.demo.simulated.wire import WireFormat
from tests.vendors.live import KEY, MODEL, backend, nexus_with


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of backend that embeds."""

    type: BackendType
    wire: WireFormat
    model: str = "embedder"
    takes_tokens: bool = True


OPENAI = Server(BackendType.OPENAI, OpenAIFormat())
VLLM = Server(BackendType.VLLM, OpenAIFormat())
OLLAMA = Server(
    BackendType.OLLAMA, OpenAIFormat(embeds_floats_only=True), "nomic-embed-text", False
)
GOOGLE = Server(BackendType.GOOGLE, GoogleFormat(), "gemini-embedding-001", False)
SERVERS = (OPENAI, VLLM, OLLAMA, GOOGLE)

servers = pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.type.value)
# The client asks for base64 by default, and unpacks it.
encodings = pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}])


@asynccontextmanager
async def world(server: Server) -> AsyncIterator[tuple[openai.AsyncOpenAI, SimulatedServer]]:
    behaviour = Behaviour(models=(server.model,), api_key=KEY)
    async with (
        SimulatedServer(behaviour, wire=server.wire, speed=FULL_SPEED) as simulated,
        nexus_with(backend(server.type, simulated.url, server.model)) as nexus,
        nexus.openai() as client,
    ):
        yield client, simulated


def vectors(*texts: str, dimensions: int | None = None) -> list[list[float]]:
    """What the simulation makes of these texts, whatever the way."""
    return make_vectors(Embeddable(model="", inputs=texts, dimensions=dimensions))


@servers
@encodings
@pytest.mark.parametrize("given", ["a text", ["one"], ["one", "two", "Grüße"]])
async def test_one_text_and_several(server: Server, encoding: Any, given: Any) -> None:
    async with world(server) as (client, _):
        answer = await client.embeddings.create(model=MODEL, input=given, **encoding)

    texts = [given] if isinstance(given, str) else given
    assert [each.index for each in answer.data] == list(range(len(texts)))
    for each, vector in zip(answer.data, vectors(*texts), strict=True):
        assert len(each.embedding) == DIMENSIONS
        assert each.embedding == pytest.approx(vector, abs=1e-6)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0


@servers
@encodings
async def test_dimensions(server: Server, encoding: Any) -> None:
    async with world(server) as (client, _):
        answer = await client.embeddings.create(model=MODEL, input="x", dimensions=5, **encoding)

    assert answer.data[0].embedding == pytest.approx(vectors("x", dimensions=5)[0], abs=1e-6)


@servers
@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
async def test_tokens_where_the_backend_takes_them_else_a_422(server: Server, tokens: Any) -> None:
    async with world(server) as (client, simulated):
        if server.takes_tokens:
            answer = await client.embeddings.create(model=MODEL, input=tokens)
            assert len(answer.data) == (2 if tokens == [[1, 2], [3]] else 1)
            return
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            await client.embeddings.create(model=MODEL, input=tokens)

    assert caught.value.param == "input"
    assert [request for request in simulated.received if request.method == "POST"] == []


async def test_google_gets_one_batch_that_names_the_model_in_each_request() -> None:
    async with world(GOOGLE) as (client, simulated):
        await client.embeddings.create(model=MODEL, input=["a", "b"], dimensions=3)

    request = simulated.received[-1]
    assert request.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert json.loads(request.body) == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "outputDimensionality": 3,
                "content": {"parts": [{"text": text}]},
            }
            for text in "ab"
        ]
    }


async def test_over_a_hundred_texts_are_a_422_at_google() -> None:
    async with world(GOOGLE) as (client, _):
        with pytest.raises(openai.UnprocessableEntityError, match="at most 100"):
            await client.embeddings.create(model=MODEL, input=["x"] * 101)


@servers
async def test_a_wrong_shape_is_a_400(server: Server) -> None:
    wrong: Any = [1, "x"]
    async with world(server) as (client, _):
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model=MODEL, input=wrong)
