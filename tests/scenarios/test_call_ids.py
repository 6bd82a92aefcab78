"""Ids of calls are a conversation's own, also where a server begins anew with each answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.scripted_upstream import Exchange, answers, streams
from tests.scenarios.messages import MESSAGES, SHORT, local
from tests.scenarios.nexus import Nexus, running, upstreams

READ = {"name": "Read", "input_schema": {"type": "object", "properties": {}}}


def calls(*ids: str | None) -> Any:
    """A chat server that calls with these ids, whatever was called before."""
    made = [
        {
            "index": number,
            "type": "function",
            "function": {"name": "Read", "arguments": "{}"},
            **({} if one is None else {"id": one}),
        }
        for number, one in enumerate(ids)
    ]
    base = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}

    async def script(exchange: Exchange) -> None:
        if json.loads(exchange.body).get("stream"):
            delta = {"delta": {"tool_calls": made}, "index": 0, "finish_reason": None}
            end = {"delta": {}, "index": 0, "finish_reason": "tool_calls"}
            chunks = [{**base, "choices": [choice]} for choice in (delta, end)]
            events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
            await streams([*events, b"data: [DONE]\n\n"])(exchange)
            return
        message = {"role": "assistant", "content": None, "tool_calls": made}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        await answers({**base, "choices": [choice]})(exchange)

    return script


async def called(nexus: Nexus, messages: list[Any], *, stream: bool) -> list[str]:
    """The ids of the calls in one answer."""
    body = SHORT | {"messages": messages, "tools": [READ], "stream": stream}
    answer = await nexus.http.post(MESSAGES, json=body)
    assert answer.status_code == 200, answer.text
    if not stream:
        blocks = answer.json()["content"]
    else:
        data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        events = [json.loads(line) for line in data]
        blocks = [event["content_block"] for event in events if "content_block" in event]
    return [block["id"] for block in blocks if block["type"] == "tool_use"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ids", [("call_0",), ("call_0", "call_0"), (None, None), ("", "a")])
async def test_no_id_comes_twice_in_a_conversation(stream: bool, ids: tuple[str | None]) -> None:
    seen: list[str] = []
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    async with (
        upstreams(calls(*ids)) as (upstream,),
        running(local(upstream.url, apis=())) as nexus,
    ):
        for _ in range(3):
            found = await called(nexus, messages, stream=stream)
            assert len(found) == len(ids)
            seen += found
            uses = [{"type": "tool_use", "id": one, "name": "Read", "input": {}} for one in found]
            done = [{"type": "tool_result", "tool_use_id": one, "content": one} for one in found]
            messages += [{"role": "assistant", "content": uses}, {"role": "user", "content": done}]

        told = json.loads(upstream.last.body)["messages"]

    assert len(set(seen)) == len(seen)
    results = [message for message in told if message["role"] == "tool"]
    assert [one["tool_call_id"] for one in results] == seen[: -len(ids)]
    assert [one["content"] for one in results] == seen[: -len(ids)]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_id_of_its_own_stays_as_it_is(stream: bool) -> None:
    async with (
        upstreams(calls("call_a:0", "call_b:1")) as (upstream,),
        running(local(upstream.url, apis=())) as nexus,
    ):
        found = await called(nexus, SHORT["messages"], stream=stream)

    assert found == ["call_a:0", "call_b:1"]
