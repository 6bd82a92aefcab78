"""Anthropic's Messages API for clients, over real sockets: recorded requests of Claude Code against
each format of backends, with the vendors' SDKs as judges of both sides."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import TypeAdapter

from nexus_core.observe.events import TokenUsage
from tests.contract.bodies import ANSWER, TOOL_ANSWER
from tests.contract.scripted_upstream import answers, hang, streams
from tests.dialects.gemini.oracles import check_body as check_google
from tests.scenarios.messages import (
    INTERLEAVED,
    MESSAGE,
    SHORT,
    TURNS,
    ask,
    body_of,
    chat_stream,
    claude,
    create,
    events_of,
    gemini,
    google_answer,
    google_stream,
    headers_of,
    local,
    openai,
    recorded_stream,
    streamed,
)
from tests.scenarios.nexus import running, upstreams


def check_chat(body: dict[str, Any]) -> None:
    """Fails where OpenAI's request types know a field otherwise."""
    kind: Any = (
        CompletionCreateParamsStreaming
        if body.get("stream")
        else CompletionCreateParamsNonStreaming
    )
    rest = {name: value for name, value in body.items() if name != "reasoning_effort"}
    TypeAdapter(kind).validate_python(rest)


# To Anthropic: the bytes pass -------------------------------------------------------------------


@pytest.mark.parametrize("name", TURNS)
async def test_a_recorded_request_reaches_anthropic_as_it_came_but_for_the_model(name: str) -> None:
    whole = json.dumps(body_of(name, stream=True), indent=1).encode()
    headers = headers_of(name)
    async with (
        upstreams(streams([recorded_stream("02-turn-1")])) as (up,),
        running(claude(up.url, models={"m": "claude-opus-5"})) as nexus,
    ):
        answer = await nexus.http.post("/v1/messages?beta=true", content=whole, headers=headers)

    assert answer.content == recorded_stream("02-turn-1")
    assert up.last.body == whole.replace(b'"model": "m"', b'"model": "claude-opus-5"')
    assert up.last.target == "/v1/messages"
    given = {key.lower(): value for key, value in headers.items()}
    for passed in ("anthropic-version", "anthropic-beta"):
        assert up.last.header(passed) == given.get(passed, "2023-06-01")
    assert up.last.header("x-api-key") == "sk-claude-0123456789"
    assert up.last.header("x-claude-code-session-id") is None
    assert [value for _, value in up.last.headers if "CLIENT-KEY" in value] == []


async def test_a_newer_version_of_the_api_passes_and_is_named_once() -> None:
    async with upstreams(answers(MESSAGE)) as (up,), running(claude(up.url)) as nexus:
        await ask(nexus, SHORT, **{"anthropic-version": "2026-10-21"})

    versions = [value for name, value in up.last.headers if name == "anthropic-version"]
    assert versions == ["2026-10-21"]


async def test_a_whole_answer_of_anthropics_passes_with_its_usage_and_request_id() -> None:
    script = answers(MESSAGE, headers=[("request-id", "req_7")])
    async with upstreams(script) as (up,), running(claude(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    assert answer.json() == MESSAGE
    assert answer.headers["request-id"] == "req_7"
    (finished,) = nexus.finished()
    assert finished.usage == TokenUsage(prompt_tokens=15, completion_tokens=2, cached_tokens=5)


@pytest.mark.parametrize("stem", ["02-turn-1", "04-thinking-turn-1", "17-smallest-stream-it-takes"])
async def test_a_stream_in_two_parts_passes_with_its_usage(stem: str) -> None:
    told = recorded_stream(stem)
    async with upstreams(hang) as (up,), running(claude(up.url)) as nexus:
        for cut in range(1, len(told), 7):
            up.script = streams([told[:cut], told[cut:]])
            answer = await ask(nexus, SHORT | {"stream": True})
            assert answer.content == told

    usages = {one.usage for one in nexus.finished()}
    assert len(usages) == 1
    assert None not in usages


async def test_an_error_of_anthropics_passes_as_it_came() -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "beta x"}}
    async with upstreams(answers(error, 400)) as (up,), running(claude(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    assert (answer.status_code, answer.json()) == (400, error)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("claude-sonnet-4-6", {"messages[].role"}),
        ("claude-sonnet-4-5", {"messages[].role", "thinking", "output_config.effort"}),
    ],
)
async def test_what_an_older_model_refuses_is_mended_and_told(model: str, told: set[str]) -> None:
    body = body_of("02-turn-1", "claude-opus-4-8")
    async with (
        upstreams(streams([recorded_stream("02-turn-1")])) as (up,),
        running(claude(up.url, models={"claude-opus-4-8": model})) as nexus,
    ):
        answer = await ask(nexus, body)

    assert set(answer.headers["x-nexus-dropped-params"].split(", ")) == told
    sent = json.loads(up.last.body)
    assert "system" not in {message["role"] for message in sent["messages"]}
    kind = "adaptive" if model == "claude-sonnet-4-6" else "enabled"
    assert sent["thinking"]["type"] == kind
    assert sent["tools"] == body["tools"]
    assert "x-anthropic-billing-header" in sent["system"][0]["text"]


async def test_thinking_of_another_model_is_left_out_for_anthropic() -> None:
    async with (
        upstreams(chat_stream(), answers(MESSAGE)) as (gpu, up),
        running(local(gpu.url), claude(up.url, models=("c",))) as nexus,
    ):
        said = (await streamed(nexus, SHORT)).to_dict()["content"]
        history = [*SHORT["messages"], {"role": "assistant", "content": said}]
        results = [
            {"type": "tool_result", "tool_use_id": use["id"], "content": "x"}
            for use in said  # type: ignore[attr-defined]
            if use["type"] == "tool_use"
        ]
        more = {"model": "c", "messages": [*history, {"role": "user", "content": results}]}
        answer = await ask(nexus, SHORT | more)

    assert answer.status_code == 200
    kinds = [one["type"] for one in json.loads(up.last.body)["messages"][1]["content"]]
    assert kinds == ["text", "tool_use", "tool_use"]


# To backends of other formats -------------------------------------------------------------------

OTHERS = pytest.mark.parametrize(
    ("configured", "script"),
    [(local, chat_stream), (openai, chat_stream), (gemini, google_stream)],
)


@pytest.mark.parametrize("name", TURNS)
@OTHERS
async def test_a_recorded_request_is_answered_by_every_kind_of_backend(
    configured: Any, script: Any, name: str
) -> None:
    async with upstreams(script()) as (up,), running(configured(up.url)) as nexus:
        answer = await ask(nexus, body_of(name, stream=True))

    assert answer.status_code == 200, answer.text
    sent = json.loads(up.last.body)
    (check_google if configured is gemini else check_chat)(sent)
    text = up.last.body.decode()
    assert "x-anthropic-billing-header" not in text
    assert "cache_control" not in text
    assert "context_management" not in text
    names = [kind for kind, _ in events_of(answer.text) if kind != "ping"]
    assert (names[0], names[-2:]) == ("message_start", ["message_delta", "message_stop"])


@OTHERS
async def test_the_sdk_adds_up_thinking_text_and_calls(configured: Any, script: Any) -> None:
    async with upstreams(script()) as (up,), running(configured(up.url)) as nexus:
        message = await streamed(nexus, body_of("02-turn-1"))

    blocks = [one for one in message.content if one.type != "thinking" or one.thinking]
    kinds = [one.type for one in blocks]
    assert kinds[:3] == ["thinking", "text", "tool_use"]
    assert isinstance(blocks[0], anthropic.types.ThinkingBlock)
    assert (blocks[0].thinking, blocks[0].signature != "") == ("Two files.", True)
    assert isinstance(blocks[1], anthropic.types.TextBlock)
    assert blocks[1].text.strip() == "I will look."
    assert isinstance(blocks[2], anthropic.types.ToolUseBlock)
    assert (blocks[2].name, blocks[2].input) == ("Bash", {"command": "ls"})
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens == 20
    assert (message.usage.input_tokens or 0) + (message.usage.cache_read_input_tokens or 0) == 100
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (100, 20)


async def test_results_stand_in_the_order_of_their_calls() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, body_of("03-turn-2-tool-results"))

    messages = json.loads(up.last.body)["messages"]
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "tool", "tool"]
    calls = [one["id"] for one in messages[2]["tool_calls"]]
    assert [one["tool_call_id"] for one in messages[3:]] == calls
    assert "system-reminder" in messages[1]["content"]


async def test_images_and_documents_of_results_follow_as_the_users() -> None:
    async with upstreams(chat_stream()) as (up,), running(openai(up.url)) as nexus:
        await ask(nexus, body_of("07-image-and-pdf-in-results"))

    *_, first, second, user = json.loads(up.last.body)["messages"]
    assert (first["role"], second["role"], user["role"]) == ("tool", "tool", "user")
    kinds = [part["type"] for part in user["content"]]
    assert kinds == ["text", "image_url", "file"]
    assert user["content"][1]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert user["content"][2]["file"]["file_data"].startswith("data:application/pdf;base64,JVBER")


async def test_a_failed_tool_is_told_as_one() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, body_of("15-tool-error"))

    results = [m["content"] for m in json.loads(up.last.body)["messages"] if m["role"] == "tool"]
    assert any(text.startswith("Error: ") for text in results)


async def test_deferred_tools_are_sent_once_they_were_found() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, body_of("09-tool-search-turn-1"))
        await ask(nexus, body_of("09-tool-search-turn-2"))

    before, after = (
        {t["function"]["name"] for t in json.loads(one.body)["tools"]} for one in up.received
    )
    assert "WebFetch" not in before
    assert after - before == {"WebFetch"}


async def test_what_the_backend_has_no_place_for_is_told() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, body_of("02-turn-1"))

    told = set(answer.headers["x-nexus-dropped-params"].split(", "))
    assert {"context_management", "metadata", "max_tokens"} <= told
    sent = json.loads(up.last.body)
    assert "max_tokens" not in sent
    assert sent["reasoning_effort"] == "high"


async def test_an_effort_that_the_model_refuses_is_left_out_and_not_sent_again() -> None:
    refusal = {"error": {"message": '"m" does not support thinking', "code": 400}}

    async def script(exchange: Any) -> None:
        asks = "reasoning_effort" in json.loads(exchange.body)
        await (answers(refusal, 400) if asks else chat_stream())(exchange)

    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        first = await ask(nexus, body_of("02-turn-1"))
        again = await ask(nexus, body_of("02-turn-1"))

    assert (first.status_code, again.status_code) == (200, 200)
    asked = ["reasoning_effort" in json.loads(one.body) for one in up.received]
    assert asked == [True, False, False]


async def test_a_whole_answer_is_written_anew() -> None:
    thinking = {"reasoning_content": "Hm.", "content": None}
    choice = TOOL_ANSWER["choices"][0]
    told = TOOL_ANSWER | {"choices": [choice | {"message": choice["message"] | thinking}]}
    async with upstreams(answers(told)) as (up,), running(local(up.url)) as nexus:
        message = await create(nexus, SHORT)

    assert [one.type for one in message.content] == ["thinking", "tool_use"]
    use = message.content[1]
    assert isinstance(use, anthropic.types.ToolUseBlock)
    assert use.input == {"city": "Göttingen"}
    assert (message.stop_reason, message.usage.input_tokens) == ("tool_use", 3)


async def test_googles_signature_comes_back_with_the_call_it_belongs_to() -> None:
    body = body_of("02-turn-1", max_tokens=1000)
    async with upstreams(google_answer()) as (up,), running(gemini(up.url)) as nexus:
        message = await create(nexus, body)
        said = [one.to_dict() for one in message.content]
        result = {"type": "tool_result", "tool_use_id": said[-1]["id"], "content": "a.txt"}
        turns: list[dict[str, Any]] = [
            *body["messages"],
            {"role": "assistant", "content": said},
            {"role": "user", "content": [result]},
        ]
        await create(nexus, body | {"messages": turns})

    parts = [part for one in json.loads(up.last.body)["contents"] for part in one["parts"]]
    (called,) = [part for part in parts if "functionCall" in part]
    assert called["thoughtSignature"] == "c2ln"


async def test_interleaved_calls_are_written_one_after_the_other() -> None:
    async with upstreams(streams(INTERLEAVED)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})
        message = await streamed(nexus, SHORT)

    open_blocks = 0
    for kind, _ in events_of(answer.text):
        open_blocks += (kind == "content_block_start") - (kind == "content_block_stop")
        assert open_blocks in (0, 1)
    inputs = [one.input for one in message.content if one.type == "tool_use"]
    assert inputs == [{"x": 1}, {"y": 2}]


async def test_a_server_that_ignores_stream_is_answered_as_a_stream() -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        message = await streamed(nexus, SHORT)

    assert message.content[0].type == "text"
    assert message.usage.output_tokens == 4


def test_every_recorded_turn_is_replayed() -> None:
    assert len(TURNS) >= 12
