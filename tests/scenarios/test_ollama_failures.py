"""Failures on Ollama's API: each is told in its form, before an answer and within a stream."""

from __future__ import annotations

from typing import Any

import ollama
import pytest

from nexus_core.config.schema import AuthConfig, ClientKey
from tests.contract.bodies import ANSWER, FIRST, event
from tests.contract.scripted_upstream import answers, hang, streams
from tests.scenarios.messages import local
from tests.scenarios.nexus import running, upstreams
from tests.scenarios.ollama_api import (
    CHAT,
    EMBED,
    EMBEDDINGS,
    GENERATE,
    SHORT,
    ask,
    client,
    lines_of,
)


@pytest.mark.parametrize(
    ("path", "more", "named"),
    [
        (GENERATE, {"prompt": "x", "template": "{{ .Prompt }}"}, "template"),
        (GENERATE, {"prompt": "x", "context": [1, 2]}, "context"),
        (GENERATE, {"prompt": "x", "width": 64}, "width"),
        (CHAT, {"messages": [{"role": "judge", "content": "x"}]}, "messages[0].role"),
        (CHAT, {"messages": [{"role": "user", "content": [1]}]}, "messages[0].content"),
        (CHAT, SHORT | {"think": 7}, "think"),
        (CHAT, SHORT | {"format": 7}, "format"),
        (CHAT, SHORT | {"options": {"temperature": "hot"}}, "options.temperature"),
        (CHAT, SHORT | {"tools": [{"type": "function"}]}, "tools[0].function.name"),
        (CHAT, SHORT | {"stream": "yes"}, "stream"),
        (EMBED, {"input": [1]}, "input"),
        (EMBEDDINGS, {"prompt": [1]}, "prompt"),
    ],
)
async def test_what_cant_be_told_is_refused_by_name(
    path: str, more: dict[str, Any], named: str
) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, path, {"model": "m", **more})

    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert isinstance(answer.json()["error"], str)
    assert up.received == []


async def test_an_unknown_model_is_a_404_in_ollamas_words() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus, client(nexus) as sdk:
        with pytest.raises(ollama.ResponseError) as raised:
            await sdk.chat("nobody-has-it", SHORT["messages"])

    assert raised.value.status_code == 404
    assert "nobody-has-it" in raised.value.error


async def test_an_error_in_mid_stream_is_a_line_that_clients_raise() -> None:
    error = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
    async with (
        upstreams(streams([FIRST, event({"content": "Hel"}), error])) as (up,),
        running(local(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        parts = await sdk.chat("m", SHORT["messages"], stream=True)
        first = await anext(parts)
        with pytest.raises(ollama.ResponseError, match="out of memory"):
            await anext(parts)

    assert first.message.content == "Hel"


async def test_a_stream_that_breaks_off_ends_with_a_line_that_clients_raise() -> None:
    async with (
        upstreams(streams([FIRST, event({"content": "Hel"})])) as (up,),
        running(local(up.url)) as nexus,
    ):
        answer = await ask(nexus, CHAT, SHORT)

    *_, last = lines_of(answer.content)
    assert "ended without" in last["error"]


async def test_an_error_of_a_backend_is_told_in_ollamas_form() -> None:
    told = {"error": {"message": "no such thing", "type": "invalid_request_error"}}
    async with upstreams(answers(told, 400)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, CHAT, SHORT)

    assert (answer.status_code, answer.json()) == (400, {"error": "no such thing"})


async def test_a_key_is_a_bearer_and_a_missing_one_is_told_in_ollamas_form() -> None:
    auth = AuthConfig(api_keys=(ClientKey(name="alice", value=b"ka"),))
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url), auth=auth) as nexus:
        missing = [
            await ask(nexus, CHAT, SHORT),
            await nexus.http.get("/api/tags"),
            await ask(nexus, "/api/show", {"model": "m"}),
        ]
        whole = SHORT | {"stream": False}
        good = await ask(nexus, CHAT, whole, Authorization="Bearer ka")

    assert [one.status_code for one in missing] == [401] * 3
    assert all("missing client key" in one.json()["error"] for one in missing)
    assert good.status_code == 200
    assert up.last.header("authorization") is None
