"""The simulated server in Gemini's format, as Google's own client sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from nexus_core.demo.simulated import (
    FULL_SPEED,
    Behaviour,
    Fault,
    GoogleFormat,
    SimulatedServer,
)

OLD, NEW, EMBEDDER = "gemini-2.5-flash", "gemini-3-flash-preview", "gemini-embedding-001"
MODELS = (OLD, NEW, EMBEDDER)
KEY = "AIza-made-up"
USER = types.UserContent("hi")
TOOLS = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="search",
            parameters_json_schema={
                "type": "object",
                "properties": {"query": {"type": "string"}},
            },
        ),
        types.FunctionDeclaration(name="ping"),
    ]
)
CONFIG = types.GenerateContentConfig(
    tools=[TOOLS],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)


@asynccontextmanager
async def client_of(*faults: Fault, key: str = KEY) -> AsyncIterator[genai.Client]:
    behaviour = Behaviour(models=MODELS, api_key=KEY, faults=faults or (Fault.NONE,))
    async with (
        SimulatedServer(
            behaviour, wire=GoogleFormat(), random=Random(1), speed=FULL_SPEED
        ) as server,
        httpx.AsyncClient() as http,
    ):
        options = types.HttpOptions(
            base_url=server.url, api_version="v1beta", httpx_async_client=http
        )
        with genai.Client(api_key=key, http_options=options) as client:
            yield client


async def ask(
    client: genai.Client,
    model: str = OLD,
    contents: Any = USER,
    config: types.GenerateContentConfig | None = None,
) -> types.GenerateContentResponse:
    return await client.aio.models.generate_content(model=model, contents=contents, config=config)


async def streamed(
    client: genai.Client,
    model: str = OLD,
    contents: Any = USER,
    config: types.GenerateContentConfig | None = None,
) -> types.GenerateContentResponse:
    """The stream joined: all parts, and what else the last event said."""
    stream = await client.aio.models.generate_content_stream(
        model=model, contents=contents, config=config
    )
    events = [event async for event in stream]
    parts = [part for event in events for part in event.parts or ()]
    last = events[-1]
    if last.candidates and last.candidates[0].content:
        last.candidates[0].content.parts = parts
    return last


WAYS = [ask, streamed]


@pytest.mark.parametrize("way", WAYS)
async def test_a_text(way: Any) -> None:
    async with client_of() as client:
        answer = await way(client)

    assert answer.text
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert 20 <= answer.usage_metadata.candidates_token_count <= 120


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", [OLD, NEW])
async def test_two_calls_and_after_their_results_a_text(way: Any, model: str) -> None:
    async with client_of() as client:
        first = await way(client, model, config=CONFIG)
        said = first.candidates[0].content
        calls = [part.function_call for part in said.parts if part.function_call]
        results = [
            types.Part.from_function_response(name=call.name, response={"output": "found"})
            for call in calls
        ]
        second = await way(client, model, [USER, said, types.UserContent(results)], CONFIG)

    assert [(call.name, set(call.args or {})) for call in calls] == [
        ("search", {"query"}),
        ("ping", set()),
    ]
    assert bool(said.parts[0].thought_signature) is (model == NEW)
    assert second.text


@pytest.mark.parametrize("way", WAYS)
async def test_thoughts_are_marked_and_counted_apart(way: Any) -> None:
    thinking = types.ThinkingConfig(include_thoughts=True)
    config = types.GenerateContentConfig(thinking_config=thinking)
    async with client_of() as client:
        answer = await way(client, config=config)

    assert answer.candidates[0].content.parts[0].thought
    assert answer.usage_metadata.thoughts_token_count > 0


@pytest.mark.parametrize("way", WAYS)
async def test_a_blocked_prompt_has_no_candidates(way: Any) -> None:
    async with client_of(Fault.DECLINE) as client:
        answer = await way(client)

    assert not answer.candidates
    assert answer.prompt_feedback.block_reason is types.BlockedReason.SAFETY


def turns(signature: bytes | None, *results: types.Part) -> list[types.Content]:
    call = types.Part(
        function_call=types.FunctionCall(name="search", args={}), thought_signature=signature
    )
    return [USER, types.ModelContent([call]), types.UserContent(list(results))]


RESULT = types.Part.from_function_response(name="search", response={"output": "found"})
REFUSED: dict[str, tuple[list[types.Content], str]] = {
    "no signature": (turns(None, RESULT), "missing a thought_signature"),
    "a foreign signature": (turns(b"somebody else's", RESULT), "signature is not valid"),
    "a call without its result": (
        [*turns(b"x", RESULT)[:2], USER],
        "number of function response parts",
    ),
}


@pytest.mark.parametrize(("contents", "message"), REFUSED.values(), ids=REFUSED)
async def test_what_the_real_one_refuses_is_a_400(
    contents: list[types.Content], message: str
) -> None:
    async with client_of() as client:
        with pytest.raises(errors.ClientError, match=message) as caught:
            await ask(client, NEW, contents)

    assert caught.value.code == 400


async def test_an_older_model_demands_no_signature() -> None:
    async with client_of() as client:
        answer = await ask(client, OLD, turns(None, RESULT))

    assert answer.text


async def test_a_wrong_key_is_a_400_with_a_reason() -> None:
    async with client_of(key="wrong") as client:
        with pytest.raises(errors.ClientError, match="API key not valid") as caught:
            await ask(client)

    assert caught.value.code == 400
    assert caught.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"


async def test_a_busy_server_says_in_the_body_when_to_come_back() -> None:
    async with client_of(Fault.BUSY) as client:
        with pytest.raises(errors.ClientError) as caught:
            await ask(client)

    assert caught.value.code == 429
    assert caught.value.details["error"]["details"][0]["retryDelay"] == "7s"


async def test_events_end_in_crlf_and_need_alt_sse() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    headers = {"x-goog-api-key": KEY}
    async with client_of() as client, httpx.AsyncClient(headers=headers) as plain:
        base = client._api_client._http_options.base_url
        path = f"{base}/v1beta/models/{OLD}:streamGenerateContent"
        without = await plain.post(path, json=body)
        answer = await plain.post(f"{path}?alt=sse", json=body)

    assert without.status_code == 400
    assert answer.content.endswith(b"}\r\n\r\n")


async def test_embeddings_come_in_a_batch() -> None:
    config = types.EmbedContentConfig(output_dimensionality=4)
    contents: list[types.PartUnion] = ["one", "two"]
    async with client_of() as client:
        answer = await client.aio.models.embed_content(
            model=EMBEDDER, contents=contents, config=config
        )

    assert answer.embeddings is not None
    assert [len(each.values or ()) for each in answer.embeddings] == [4, 4]


async def test_the_models_are_listed_page_by_page() -> None:
    async with client_of() as client:
        pager = await client.aio.models.list(config={"page_size": 2})
        names = [model.name async for model in pager]

    assert names == [f"models/{name}" for name in MODELS]
