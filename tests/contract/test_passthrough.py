"""Requests and answers of OpenAI-format backends pass byte for byte."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam

from .bodies import (
    ANSWER,
    DONE,
    FIRST,
    HELLO,
    MESSAGES,
    STOP,
    STREAM,
    THERE,
    TOOL_ANSWER,
    chat,
    event,
)
from .scripted_upstream import ScriptedUpstream, answers, streams

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
PICTURE = base64.b64encode(bytes(range(256)) * 300).decode()

ODD_BODIES = {
    "unknown fields": b'{"model":"llama3:70b","messages":[{"role":"user","content":"x"}],'
    b'"x_new":{"deep":[1,{"er":null}]},"temperature":1.0}',
    "white space": b' {\n\t"messages" : [ {"role":"user","content":"x"} ] ,\r\n "model" : '
    b'"llama3:70b"  }\n',
    "numbers": b'{"model":"llama3:70b","messages":[{"role":"user","content":"x"}],'
    b'"seed":123456789012345678901234567890,"top_p":1e-1,"temperature":0.70}',
    "escapes": b'{"model":"llama3\\u003a70b","messages":[{"role":"user",'
    b'"content":"\\u00e9\\ud83d\\ude00\\/ \xc3\xa9 \xf0\x9f\x98\x80"}]}',
    "repeated inner keys": b'{"model":"llama3:70b","messages":[{"role":"user","content":"x",'
    b'"content":"y"}]}',
    "image parts": json.dumps(
        chat(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what is this?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{PICTURE}"},
                        },
                    ],
                }
            ]
        )
    ).encode(),
}


async def test_the_openai_client_gets_a_text(
    openai_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)

    answer = await openai_client.chat.completions.create(
        model="llama3:70b", messages=[{"role": "user", "content": "hello"}]
    )

    assert answer.choices[0].message.content == "Hello there."
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7
    assert upstream.last.target == CHAT


async def test_the_openai_client_gets_a_stream(
    openai_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script = streams(STREAM)

    stream = await openai_client.chat.completions.create(
        model="llama3:70b", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(pieces) == "Hello there."
    assert json.loads(upstream.last.body)["stream"] is True


async def test_the_openai_client_gets_a_tool_call(
    openai_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(TOOL_ANSWER)

    answer = await openai_client.chat.completions.create(
        model="llama3:70b", messages=[{"role": "user", "content": "rain?"}], tools=[WEATHER]
    )

    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"city": "Göttingen"}
    assert json.loads(upstream.last.body)["tools"] == [WEATHER]


async def test_the_openai_client_gets_a_streamed_tool_call(
    openai_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    named = {"index": 0, "id": "call_1", "type": "function"}
    upstream.script = streams(
        [
            event({"tool_calls": [named | {"function": {"name": "weather", "arguments": ""}}]}),
            event({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
            event({"tool_calls": [{"index": 0, "function": {"arguments": ' "Bonn"}'}}]}),
            event({}, "tool_calls"),
            DONE,
        ]
    )

    stream = await openai_client.chat.completions.create(
        model="llama3:70b",
        messages=[{"role": "user", "content": "rain?"}],
        tools=[WEATHER],
        stream=True,
    )
    calls = [call async for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]

    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert json.loads(arguments) == {"city": "Bonn"}


async def test_the_openai_client_gets_a_legacy_completion(
    openai_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    choice = {"index": 0, "text": " a time", "finish_reason": "stop", "logprobs": None}
    upstream.script = answers(ANSWER | {"object": "text_completion", "choices": [choice]})

    answer = await openai_client.completions.create(model="llama3:70b", prompt="Once upon")

    assert answer.choices[0].text == " a time"
    assert upstream.last.target == "/v1/completions"
    assert json.loads(upstream.last.body) == {"model": "llama3:70b", "prompt": "Once upon"}


async def test_a_legacy_completion_streams_byte_for_byte(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    sent = b'data: {"choices":[{"index":0,"text":" a time","finish_reason":"stop"}]}\n\n' + DONE
    upstream.script = streams([sent])

    answer = await http.post(
        "/v1/completions", json={"model": "llama3:70b", "prompt": ["Once"], "stream": True}
    )

    assert answer.content == sent


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
async def test_a_request_reaches_the_upstream_byte_for_byte(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, body: bytes
) -> None:
    upstream.script = answers(ANSWER)

    answer = await http.post(CHAT, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 200
    assert upstream.last.body == body


async def test_a_chunked_request_is_framed_anew(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)
    body = json.dumps(chat()).encode()

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    answer = await http.post(CHAT, content=parts())

    assert answer.status_code == 200
    assert upstream.last.body == body
    assert upstream.last.header("content-length") == str(len(body))
    assert upstream.last.header("transfer-encoding") is None


async def test_a_whole_answer_comes_back_byte_for_byte(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    sent = (
        b'{ "choices" : [{"text":""} ],\r\n "x_new": 1.0, "e": "\\u00e9 \xc3\xa9", "usage":null }\n'
    )
    upstream.script = answers(sent)

    answer = await http.post(CHAT, json=chat())

    assert answer.content == sent
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity"])
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_numbers_that_only_python_writes_pass(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, number: bytes, is_streaming: bool
) -> None:
    sent = (
        b'{"choices": [{"text": "x", "index": 0, "logprobs": {"token_logprobs": [%s]}}]}' % number
    )
    upstream.script = answers(sent)

    answer = await http.post(CHAT, json=chat(stream=is_streaming))

    assert answer.status_code == 200
    assert number in answer.content
    assert is_streaming or answer.content == sent


async def test_a_stream_comes_back_byte_for_byte(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    sent = (
        b": a comment\n\nevent: x\nid: 7\n" + FIRST + b"\r\n"
        b'data:{"choices":[{"index":0,"delta":{"content":"\xc3\xa9"}}],"x_new":1.0}\r\n\r\n'
        b'data: {"choices":[],\ndata: "usage":{"prompt_tokens":1}}\n\n' + STOP + DONE
    )
    upstream.script = streams([sent[at : at + 11] for at in range(0, len(sent), 11)])

    answer = await http.post(CHAT, json=chat(stream=True))

    assert answer.content == sent
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_a_usage_chunk_that_the_client_asked_for_arrives(
    openai_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    usage = event({}, None, choices=[], usage=ANSWER["usage"])
    upstream.script = streams([FIRST, HELLO, STOP, usage, DONE])

    stream = await openai_client.chat.completions.create(
        model="llama3:70b",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 7


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_the_error_of_an_upstream_that_will_not_do_passes_on(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, status: int
) -> None:
    sent = b'{"error": {"message":"no such thing", "x": 1.0}}'
    upstream.script = answers(sent, status)

    answer = await http.post(CHAT, json=chat(stream=True))

    assert (answer.status_code, answer.content) == (status, sent)
    assert answer.headers["x-nexus-backend"] == "local"
    assert len(upstream.received) == 1


@pytest.mark.parametrize("asked", ["gpt-4", "outer", "inner"])
async def test_an_alias_changes_only_the_bytes_of_the_model(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, asked: str
) -> None:
    upstream.script = answers(ANSWER)
    frame = (
        b'{ "metadata":{"model":"gpt-4"}, "model" :  %b ,"messages":[{"role":"user",'
        b'"content":"\\u00e9 \xc3\xa9 \\"model\\": \\"gpt-4\\""}],"top_p":1.0}'
    )

    answer = await http.post(CHAT, content=frame % json.dumps(asked).encode())

    assert upstream.last.body == frame % b'"llama3:70b"'
    assert answer.headers["x-nexus-model"] == "llama3:70b"


async def test_a_model_table_renames_the_model(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)

    answer = await http.post(CHAT, json=chat("asked-name", messages=MESSAGES))

    assert json.loads(upstream.last.body) == chat("org/own-näme")
    assert answer.headers["x-nexus-backend"] == "renaming"
    assert answer.headers["x-nexus-model"] == "org/own-n%C3%A4me"
    assert upstream.last.target == CHAT  # the /v1 of the configured url stands once


async def test_a_stream_arrives_piece_by_piece(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    upstream.script = streams([FIRST, HELLO, gate, THERE, STOP, DONE])

    async with http.stream("POST", CHAT, json=chat(stream=True)) as answer:
        received = b""
        async for part in answer.aiter_raw():
            received += part
            if received == FIRST + HELLO:
                gate.set()

    assert received == b"".join(STREAM)
