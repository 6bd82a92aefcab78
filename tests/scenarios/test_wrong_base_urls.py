"""A client whose base URL lacks `/v1`, or has it where its SDK writes it itself, is told so."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.contract.scripted_upstream import hang
from tests.scenarios.messages import local
from tests.scenarios.nexus import running, upstreams

MESSAGES: Any = [{"role": "user", "content": "hi"}]
ENDS = "The base URL of OpenAI's clients ends with /v1, that of all others does not"


async def test_openais_client_without_v1() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        client = openai.AsyncOpenAI(
            base_url=str(nexus.http.base_url), api_key="none", max_retries=0
        )
        async with client:
            with pytest.raises(openai.NotFoundError) as caught:
                await client.chat.completions.create(model="m", messages=MESSAGES)

    assert "/v1/chat/completions" in caught.value.message
    assert ENDS in caught.value.message


async def test_anthropics_client_with_v1() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        client = anthropic.AsyncAnthropic(
            base_url=f"{nexus.http.base_url}/v1", api_key="none", max_retries=0
        )
        async with client:
            with pytest.raises(anthropic.NotFoundError) as caught:
                await client.messages.create(model="m", max_tokens=9, messages=MESSAGES)

    body: Any = caught.value.body
    assert body["error"]["type"] == "not_found_error"
    assert "/v1/messages" in body["error"]["message"]
    assert ENDS in body["error"]["message"]


async def test_googles_client_with_v1() -> None:
    path = "/v1/v1beta/models/m:generateContent"
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post(path, json={"contents": []})

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (404, "NOT_FOUND")
    assert "/v1beta/models/{model}:generateContent" in error["message"]
