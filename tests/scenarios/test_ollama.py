"""Ollama's API for clients, over real sockets: each format of backends, with the vendors' SDKs as
judges of both sides."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import BaseModel, TypeAdapter

from tests.contract.bodies import ANSWER, DONE, FIRST, TOOL_ANSWER, event
from tests.contract.scripted_upstream import answers, streams
from tests.dialects.gemini.oracles import check_body as check_google
from tests.scenarios.messages import (
    MESSAGE,
    USAGE,
    chat_stream,
    claude,
    gemini,
    google_stream,
    local,
    openai,
    recorded_stream,
)
from tests.scenarios.nexus import running, upstreams
from tests.scenarios.ollama_api import (
    CHAT,
    SHORT,
    ask,
    client,
    lines_of,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 20).decode()
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "Bash",
            "description": "Run a command.",
            "parameters": {
                "type": "object",
                "required": ["command"],
                "properties": {"command": {"type": "string", "description": "It."}},
            },
        },
    }
]


def claude_stream() -> Any:
    return streams([recorded_stream("04-thinking-turn-1")])


def check_chat(body: dict[str, Any]) -> None:
    """Fails where OpenAI's request types know a field otherwise."""
    kind: Any = (
        CompletionCreateParamsStreaming
        if body.get("stream")
        else CompletionCreateParamsNonStreaming
    )
    rest = {name: value for name, value in body.items() if name != "reasoning_effort"}
    TypeAdapter(kind).validate_python(rest)


OTHERS = pytest.mark.parametrize(
    ("configured", "script"),
    [
        (local, chat_stream),
        (openai, chat_stream),
        (gemini, google_stream),
        (claude, claude_stream),
    ],
)


@OTHERS
async def test_a_chat_is_streamed_by_every_kind_of_backend(configured: Any, script: Any) -> None:
    async with (
        upstreams(script()) as (up,),
        running(configured(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        asked = {"messages": SHORT["messages"], "tools": TOOLS, "think": True}
        parts = [part async for part in await sdk.chat("m", **asked, stream=True)]

    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert "".join(part.message.thinking or "" for part in parts)
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert calls
    assert all(isinstance(call.function.arguments, dict) for call in calls)
    last = parts[-1]
    assert last.done_reason == "stop"
    assert last.model == "m"
    assert last.eval_count
    assert last.prompt_eval_count
    assert last.total_duration is not None
    assert last.total_duration >= (last.eval_duration or 0) >= 0
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert finished.usage.completion_tokens == last.eval_count
    sent = json.loads(up.last.body)
    if configured is gemini:
        check_google(sent)
    elif configured is not claude:
        check_chat(sent)


async def test_thinking_text_and_calls_are_told_apart() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, CHAT, SHORT)

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-cache"
    lines = lines_of(answer.content)
    messages = [one["message"] for one in lines]
    assert "".join(one.get("thinking", "") for one in messages) == "Two files."
    assert "".join(one["content"] for one in messages).strip() == "I will look."
    calls = messages[-2]["tool_calls"]
    assert [(one["id"], one["function"]["index"]) for one in calls] == [
        ("call_a:0", 0),
        ("call_b:1", 1),
    ]
    assert [(one["function"]["name"], one["function"]["arguments"]) for one in calls] == [
        ("Bash", {"command": "ls"}),
        ("Read", {"file_path": "/a"}),
    ]
    assert (lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == (100, 20)


async def test_a_client_that_wants_no_thinking_gets_none() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, CHAT, SHORT | {"think": False})

    assert not any("thinking" in one["message"] for one in lines_of(answer.content))
    assert json.loads(up.last.body)["reasoning_effort"] == "none"


@pytest.mark.parametrize(
    ("configured", "told"),
    [(local, ANSWER), (openai, ANSWER), (claude, MESSAGE)],
)
async def test_a_whole_answer(configured: Any, told: dict[str, Any]) -> None:
    async with (
        upstreams(answers(told)) as (up,),
        running(configured(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        answer = await sdk.chat("m", SHORT["messages"])

    assert (answer.message.content or "").startswith("Hello")
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert answer.eval_count == (2 if configured is claude else 4)
    assert not json.loads(up.last.body).get("stream")


async def test_a_whole_answer_with_a_call_has_its_arguments_as_an_object() -> None:
    async with (
        upstreams(answers(TOOL_ANSWER)) as (up,),
        running(local(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        answer = await sdk.chat("m", SHORT["messages"])

    (call,) = answer.message.tool_calls or ()
    assert call.function.arguments == {"city": "Göttingen"}


async def test_options_become_the_fields_of_each_format() -> None:
    options = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "num_predict": 77,
        "seed": 42,
        "stop": ["END"],
        "repeat_penalty": 1.1,
        "num_ctx": 8192,
        "mirostat": 1,
        "num_gpu": 1,
    }
    body = SHORT | {"options": options, "keep_alive": "5m"}
    async with (
        upstreams(chat_stream(), chat_stream()) as (gpu, cloud),
        running(local(gpu.url), openai(cloud.url, models=("o",))) as nexus,
    ):
        here = await ask(nexus, CHAT, body)
        there = await ask(nexus, CHAT, body | {"model": "o"})

    sent = json.loads(gpu.last.body)
    shared = {"temperature": 0.5, "top_p": 0.9, "seed": 42, "stop": ["END"]}
    own = {"top_k": 40, "min_p": 0.05, "repeat_penalty": 1.1, "max_tokens": 77}
    for name, value in (shared | own).items():
        assert sent[name] == value
    assert here.headers["x-nexus-dropped-params"] == "options.num_ctx, options.mirostat"
    sent = json.loads(cloud.last.body)
    for name, value in shared.items():
        assert sent[name] == value
    assert sent["max_completion_tokens"] == 77
    assert not {"top_k", "min_p", "repeat_penalty", "options", "keep_alive"} & sent.keys()
    dropped = there.headers["x-nexus-dropped-params"].split(", ")
    assert {"options.top_k", "options.min_p", "options.num_ctx"} <= {*dropped}


class Country(BaseModel):
    name: str
    capital: str


async def test_structured_output_asks_by_the_schema() -> None:
    told = ANSWER | {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": '{"name":"F","capital":"P"}'},
                "finish_reason": "stop",
            }
        ]
    }
    async with (
        upstreams(answers(told)) as (up,),
        running(local(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        answer = await sdk.chat("m", SHORT["messages"], format=Country.model_json_schema())
        await sdk.chat("m", SHORT["messages"], format="json")

    assert Country.model_validate_json(answer.message.content or "").capital == "P"
    first, second = (json.loads(one.body)["response_format"] for one in up.received)
    assert first["json_schema"]["schema"] == Country.model_json_schema()
    assert second == {"type": "json_object", "schema": {"type": "object"}}


async def test_pictures_become_parts_of_the_message() -> None:
    async with (
        upstreams(answers(ANSWER)) as (up,),
        running(openai(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        await sdk.chat("m", [{"role": "user", "content": "What?", "images": [PNG]}])
        await sdk.generate("m", "What?", images=[PNG])

    for one in up.received:
        (message,) = json.loads(one.body)["messages"]
        assert [part["type"] for part in message["content"]] == ["text", "image_url"]
        assert message["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"


async def test_results_are_paired_by_name_then_by_order() -> None:
    call: Any = {"function": {"name": "Bash", "arguments": {"command": "ls"}}}
    other: Any = {"function": {"name": "Read", "arguments": {"path": "a"}}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": "", "tool_calls": [call, other, call]},
        {"role": "tool", "tool_name": "Read", "content": "text"},
        {"role": "tool", "tool_name": "Bash", "content": "first"},
        {"role": "tool", "tool_name": "Bash", "content": "second"},
    ]
    async with (
        upstreams(answers(ANSWER)) as (up,),
        running(openai(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        await sdk.chat("m", messages)

    sent = json.loads(up.last.body)
    check_chat(sent)
    _, assistant, *results = sent["messages"]
    ids = [one["id"] for one in assistant["tool_calls"]]
    assert len({*ids}) == 3
    assert [one["tool_call_id"] for one in results] == ids
    assert [one["content"] for one in results] == ["first", "text", "second"]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"command": "ls"}


async def test_a_prompt_is_generated_for_as_a_chat() -> None:
    async with (
        upstreams(
            streams([FIRST, event({"content": "Blue."}), event({}, "length"), USAGE, DONE])
        ) as (up,),
        running(local(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        asked = await sdk.generate("m", "Why?", system="Be short.", stream=True)
        parts = [part async for part in asked]

    assert "".join(part.response or "" for part in parts) == "Blue."
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("length", 20)
    messages = json.loads(up.last.body)["messages"]
    assert [(one["role"], one["content"]) for one in messages] == [
        ("system", "Be short."),
        ("user", "Why?"),
    ]


async def test_a_raw_prompt_and_one_with_a_suffix_are_completed_as_they_stand() -> None:
    told = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "return a", "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    async with (
        upstreams(answers(told)) as (up,),
        running(local(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        raw = await sdk.generate("m", "[INST]x[/INST]", raw=True)
        await sdk.generate("m", "def f(a):", suffix="# end")

    assert (raw.response, raw.eval_count) == ("return a", 2)
    assert [one.target for one in up.received] == ["/v1/completions"] * 2
    first, second = (json.loads(one.body) for one in up.received)
    assert first["prompt"] == "[INST]x[/INST]"
    assert (second["prompt"], second["suffix"]) == ("def f(a):", "# end")


async def test_texts_are_embedded_in_both_shapes() -> None:
    told = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, 1.0]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 2.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    async with (
        upstreams(answers(told)) as (up,),
        running(openai(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        several = await sdk.embed("m", ["a", "b"], dimensions=2, truncate=True)
        old = await sdk.embeddings("m", "a")

    assert several.embeddings == [[0.5, 1.0], [0.25, 2.0]]
    assert several.prompt_eval_count == 8
    assert old.embedding == [0.5, 1.0]
    first, second = (json.loads(one.body) for one in up.received)
    assert (first["input"], first["dimensions"]) == (["a", "b"], 2)
    assert second["input"] == "a"
    assert [one.usage and one.usage.prompt_tokens for one in nexus.finished()] == [8, 8]


async def test_probabilities_of_tokens_come_with_their_text() -> None:
    told: dict[str, Any] = {"token": "Blue", "logprob": -0.1, "bytes": None}
    told["top_logprobs"] = [{"token": "Red", "logprob": -2.5, "bytes": None}]
    chunk = event({"content": "Blue"})
    fields = json.loads(chunk[6:])
    fields["choices"][0]["logprobs"] = {"content": [told]}
    chunk = b"data: " + json.dumps(fields).encode() + b"\n\n"
    async with (
        upstreams(streams([FIRST, chunk, event({}, "stop"), USAGE, DONE])) as (up,),
        running(openai(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        asked = await sdk.chat("m", SHORT["messages"], logprobs=True, top_logprobs=1, stream=True)
        parts = [part async for part in asked]

    (found,) = [part.logprobs for part in parts if part.logprobs]
    assert (found[0].token, found[0].logprob) == ("Blue", -0.1)
    assert found[0].top_logprobs is not None
    assert [one.logprob for one in found[0].top_logprobs] == [-2.5]
    sent = json.loads(up.last.body)
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 1)
