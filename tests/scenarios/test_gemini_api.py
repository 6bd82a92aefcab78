"""Google's Gemini API for clients, over real sockets: recorded requests of Gemini CLI against each
format of backends, with the vendors' SDKs as judges of both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from nexus_core.dialects.gemini.signatures import DUMMY
from nexus_core.dialects.inbound import GEMINI_PATH
from nexus_core.observe.events import RequestReceived, TokenUsage
from tests.contract.scripted_upstream import answers, hang, streams
from tests.dialects.anthropic.sdk import check_request as check_anthropic
from tests.dialects.gemini.oracles import check_body as check_google
from tests.scenarios.gemini_api import (
    ANSWER,
    KEY,
    SHORT,
    TURNS,
    ask,
    body_of,
    chat_calls,
    chat_text,
    chat_whole,
    check_answer,
    chunks_of,
    headers_of,
    parts_in,
    path_for,
    recorded_stream,
    sdk,
)
from tests.scenarios.messages import MESSAGE, claude, gemini, local, openai
from tests.scenarios.messages import recorded_stream as claude_stream
from tests.scenarios.nexus import running, upstreams
from tests.scenarios.test_messages import check_chat
from tests.waiting import until

CLAUDE = claude_stream("02-turn-1")

# To Google: the bytes pass ----------------------------------------------------------------------


@pytest.mark.parametrize("name", TURNS)
async def test_a_recorded_request_reaches_google_as_it_came(name: str) -> None:
    whole = json.dumps(body_of(name), indent=1).encode()
    told = recorded_stream("02-turn-1")
    path = path_for("fast", "streamGenerateContent")
    async with (
        upstreams(streams([told])) as (up,),
        running(gemini(up.url, models={"fast": "gemini-3.8-flash"})) as nexus,
    ):
        answer = await nexus.http.post(path, content=whole, headers=headers_of(name))

    assert answer.content == told
    assert up.last.body == whole
    assert up.last.target == path_for("gemini-3.8-flash", "streamGenerateContent")
    assert up.last.header("x-gemini-api-privileged-user-id") is None
    assert [value for _, value in up.last.headers if KEY in value] == []
    assert answer.headers["x-nexus-model"] == "gemini-3.8-flash"
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert finished.usage.prompt_tokens == 900


async def test_a_whole_answer_of_googles_passes_with_its_usage() -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(gemini(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    assert answer.json() == ANSWER
    assert up.last.target == "/v1beta/models/m:generateContent"
    (finished,) = nexus.finished()
    assert finished.usage == TokenUsage(prompt_tokens=100, completion_tokens=20)


@pytest.mark.parametrize("stem", ["02-turn-1", "03-turn-2"])
async def test_a_stream_in_two_parts_passes_with_its_usage(stem: str) -> None:
    told = recorded_stream(stem).replace(b"\n", b"\r\n")
    async with upstreams(hang) as (up,), running(gemini(up.url)) as nexus:
        for cut in range(1, len(told), 11):
            up.script = streams([told[:cut], told[cut:]])
            answer = await ask(nexus, SHORT, stream=True)
            assert answer.content == told

    assert {one.usage for one in nexus.finished()} == {
        TokenUsage(prompt_tokens=900, completion_tokens=30, reasoning_tokens=10)
    }


async def test_without_events_a_stream_is_one_array() -> None:
    told = recorded_stream("02-turn-1")
    async with upstreams(hang) as (up,), running(gemini(up.url)) as nexus:
        for cut in range(1, len(told), 97):
            up.script = streams([told[:cut], told[cut:]])
            answer = await nexus.http.post("/v1beta/models/m:streamGenerateContent", json=SHORT)
            assert answer.headers["content-type"].startswith("application/json")
            assert answer.json() == chunks_of(told.decode())

    assert up.last.target == path_for("m", "streamGenerateContent")


async def test_an_error_of_googles_passes_as_it_came() -> None:
    error = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
    async with upstreams(answers(error, 400)) as (up,), running(gemini(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    assert (answer.status_code, answer.json()) == (400, error)


async def test_a_refused_key_of_googles_is_told_in_nexuss_words() -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    told = {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT", "details": [detail]}
    async with upstreams(answers({"error": told}, 400)) as (up,), running(gemini(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    assert answer.status_code == 502
    assert answer.json()["error"]["details"][0]["reason"] == "UPSTREAM_AUTH_FAILED"


# To backends of other formats -------------------------------------------------------------------


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("configured", [local, openai, claude])
async def test_a_recorded_request_is_answered_by_every_kind_of_backend(
    configured: Any, name: str
) -> None:
    script = streams([CLAUDE]) if configured is claude else chat_calls()
    own = "claude-opus-5" if configured is claude else "m"
    async with upstreams(script) as (up,), running(configured(up.url, models={"m": own})) as nexus:
        answer = await ask(nexus, body_of(name), stream=True)

    assert answer.status_code == 200, answer.text
    sent = json.loads(up.last.body)
    (check_anthropic if configured is claude else check_chat)(sent)
    assert "dir_path" in up.last.body.decode() or not body_of(name).get("tools")
    assert '"OBJECT"' not in up.last.body.decode()
    chunks = chunks_of(answer.text)
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] > 0


async def test_the_second_turn_has_its_call_and_result() -> None:
    async with upstreams(chat_text("ok")) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, body_of("03-turn-2"), stream=True)

    messages = json.loads(up.last.body)["messages"]
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "tool"]
    (call,) = messages[2]["tool_calls"]
    assert call["function"]["name"] == "run_shell_command"
    assert json.loads(call["function"]["arguments"])["command"] == "ls -a"
    assert messages[3]["tool_call_id"] == call["id"]
    assert messages[3]["content"].startswith("<untrusted_context>")
    assert "RmFrZVNpZw" not in up.last.body.decode()


async def test_the_sdk_reads_thinking_text_and_calls() -> None:
    thinking = types.ThinkingConfig(include_thoughts=True)
    config = types.GenerateContentConfig(thinking_config=thinking)
    parts: list[types.Part] = []
    async with upstreams(chat_calls()) as (up,), running(local(up.url)) as nexus, sdk(nexus) as ai:
        stream = await ai.models.generate_content_stream(model="m", contents="hi", config=config)
        async for chunk in stream:
            parts += chunk.candidates[0].content.parts
            last = chunk

    assert "".join(p.text or "" for p in parts if p.thought) == "Two files."
    assert "".join(p.text or "" for p in parts if not p.thought) == "I will look."
    calls = [p.function_call for p in parts if p.function_call]
    assert [(c.id, c.name, c.args) for c in calls] == [
        ("call_a:0", "run_shell_command", {"command": "ls"}),
        ("call_b:1", "read_file", {"file_path": "/a"}),
    ]
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    usage = last.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (100, 15)
    assert (usage.thoughts_token_count, usage.cached_content_token_count) == (5, 60)
    assert usage.total_token_count == 120
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert finished.usage.completion_tokens == 20


async def test_thoughts_are_shown_to_those_who_ask_for_them() -> None:
    async with upstreams(chat_calls()) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT, stream=True)

    assert not any(part.get("thought") for part in parts_in(chunks_of(answer.text)))


async def test_a_whole_answer_with_a_call() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    script = chat_whole(content="I call.", tool_calls=[call])
    async with upstreams(script) as (up,), running(local(up.url)) as nexus, sdk(nexus) as ai:
        answer = await ai.models.generate_content(model="m", contents="hi")

    assert answer.text == "I call."
    (found,) = answer.function_calls
    assert (found.id, found.name, found.args) == ("c1", "f", {"x": 1})
    assert answer.model_version == "m"
    assert answer.response_id


async def test_a_stream_of_a_chat_backend_as_one_array() -> None:
    script = chat_text("a", "b")
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post("/v1beta/models/m:streamGenerateContent", json=SHORT)

    chunks = answer.json()
    for chunk in chunks:
        check_answer(chunk)
    assert "".join(part.get("text", "") for part in parts_in(chunks)) == "ab"


async def test_an_answer_of_anthropics_is_one_in_googles_format() -> None:
    async with (
        upstreams(answers(MESSAGE)) as (up,),
        running(claude(up.url)) as nexus,
        sdk(nexus) as ai,
    ):
        answer = await ai.models.generate_content(model="m", contents="hi")

    assert answer.text == "Hello."
    assert answer.usage_metadata.prompt_token_count == 15


async def test_a_request_is_kept_replayed_and_explained_with_its_model_in_the_path() -> None:
    name = "org/llama3:70b"
    told = [recorded_stream("02-turn-1")]
    async with (
        upstreams(streams(told), chat_text("a")) as (up, gpu),
        running(
            gemini(up.url, models=(name,), priority=90), local(gpu.url, models=(name,))
        ) as nexus,
    ):
        await nexus.switch("capture", enabled=True)
        answer = await ask(nexus, SHORT, name, stream=True)
        first = answer.headers["x-nexus-request-id"]
        kept = nexus.gateway.captures.get(first)
        again = await nexus.switch(f"requests/{first}/replay", backend="gpu")
        await until(lambda: len(nexus.finished()) == 2)
        second = nexus.gateway.captures.get(again["data"]["request_id"])
        place = f"/v1beta/models/{name}:generateContent"
        explained = await nexus.http.post(f"/nexus/explain?endpoint={place}", json=SHORT)
        published = GEMINI_PATH.replace("{model}", "%7Bmodel%7D")
        asked = SHORT | {"model": f"models/{name}"}
        described = await nexus.http.post(f"/nexus/explain?endpoint={published}", json=asked)

    assert kept is not None
    assert kept.endpoint == f"/v1beta/models/{name}:streamGenerateContent?alt=sse"
    assert second is not None
    assert [part["text"] for part in parts_in(chunks_of(second.answer.decode()))] == ["a", ""]
    for one in (explained, described):
        assert {each["backend"] for each in one.json()["candidates"]} == {"gemini", "gpu"}
    assert {one.endpoint for one in nexus.events() if isinstance(one, RequestReceived)} == {
        "/v1beta/models/{model}:streamGenerateContent"
    }


async def test_the_older_version_of_the_api_is_served_too() -> None:
    async with (
        upstreams(chat_text("hello")) as (up,),
        running(local(up.url)) as nexus,
        sdk(nexus, api_version="v1") as ai,
    ):
        stream = await ai.models.generate_content_stream(model="m", contents="hi")
        text = "".join([chunk.text or "" async for chunk in stream])

    assert text == "hello"


async def test_what_another_model_thought_and_called_is_mended_for_google() -> None:
    thinking = {"thinkingConfig": {"includeThoughts": True}}
    async with (
        upstreams(chat_calls(), answers(ANSWER)) as (gpu, up),
        running(local(gpu.url), gemini(up.url, models=("gemini-3.8-flash",))) as nexus,
    ):
        answer = await ask(nexus, SHORT | {"generationConfig": thinking}, stream=True)
        said = [part for part in parts_in(chunks_of(answer.text)) if part != {"text": ""}]
        results = [
            {"functionResponse": {"id": call["id"], "name": call["name"], "response": {}}}
            for part in said
            if (call := part.get("functionCall"))
        ]
        turns = [
            *SHORT["contents"],
            {"role": "model", "parts": said},
            {"role": "user", "parts": results},
        ]
        await ask(nexus, {"contents": turns}, "gemini-3.8-flash")
        await ask(nexus, {"contents": turns})

    assert [bool(part.get("thought")) for part in said] == [True, True, False, False, False, False]
    to_google = json.loads(up.last.body)["contents"]
    check_google({"contents": to_google})
    parts = to_google[1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [None, None, DUMMY, None]
    assert not any(part.get("thought") for part in parts)
    back = json.loads(gpu.last.body)["messages"][1]
    assert (back["reasoning_content"], len(back["tool_calls"])) == ("Two files.", 2)
