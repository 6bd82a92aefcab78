"""OpenAI's Responses API for clients, over real sockets: recorded requests of Codex against each
format of backends, with the vendors' SDKs as judges of both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import (
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
    ResponseToolSearchCall,
)

from nexus_core.config.schema import BackendConfig
from tests.contract.bodies import ANSWER, DONE, FIRST, STOP, TOOL_ANSWER, event
from tests.contract.scripted_upstream import answers, streams
from tests.dialects.anthropic.sdk import check_request as check_anthropic
from tests.dialects.gemini.oracles import check_body as check_google
from tests.scenarios.messages import (
    INTERLEAVED,
    chat_stream,
    claude,
    gemini,
    google_answer,
    google_stream,
    local,
)
from tests.scenarios.messages import recorded_stream as claude_stream
from tests.scenarios.nexus import running, upstreams
from tests.scenarios.responses import (
    ENCRYPTED,
    SHORT,
    STREAMS,
    TURNS,
    WITH_REASONING,
    ask,
    body_of,
    calls_stream,
    check_events,
    events_of,
    sdk,
    streamed,
)
from tests.scenarios.test_messages import check_chat

# To backends of other formats -------------------------------------------------------------------


def opus(url: str) -> BackendConfig:
    """Anthropic, with a model that has all that it has."""
    return claude(url, models={"m": "claude-opus-4-8"})


OTHERS = pytest.mark.parametrize(
    ("configured", "script"),
    [
        (local, chat_stream),
        (gemini, google_stream),
        (opus, lambda: streams([claude_stream("04-thinking-turn-1")])),
    ],
)


@pytest.mark.parametrize("name", TURNS)
@OTHERS
async def test_a_recorded_request_is_answered_by_every_kind_of_backend(
    configured: Any, script: Any, name: str
) -> None:
    async with upstreams(script()) as (up,), running(configured(up.url)) as nexus:
        answer = await ask(nexus, body_of(name))

    assert answer.status_code == 200, answer.text
    sent = json.loads(up.last.body)
    checks = {opus: check_anthropic, gemini: check_google, local: check_chat}
    checks[configured](sent)
    text = up.last.body.decode()
    for own in ("encrypted_content", "RmFrZUVu", "client_metadata", "turn_metadata", "web_search"):
        assert own not in text
    assert sent.get("tools") != []
    events = events_of(answer.text)
    check_events(events)
    assert events[-1]["type"] == "response.completed"


@OTHERS
async def test_the_sdk_adds_up_thinking_text_and_calls(configured: Any, script: Any) -> None:
    async with upstreams(script()) as (up,), running(configured(up.url)) as nexus:
        response = await streamed(nexus, **SHORT, **WITH_REASONING)

    items = [one for one in response.output if one.type != "reasoning" or one.summary]
    thought, *_, call = items
    assert isinstance(thought, ResponseReasoningItem)
    assert thought.summary[0].text
    assert thought.encrypted_content
    assert response.output[-1].type == "function_call"
    assert call.type == "function_call"
    assert json.loads(call.arguments)
    assert response.usage is not None
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert response.usage.input_tokens == finished.usage.prompt_tokens
    assert response.usage.input_tokens_details.cached_tokens == finished.usage.cached_tokens


async def test_what_nobody_summarised_is_told_as_it_is_where_no_summary_is_asked_for() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})
        whole = await streamed(nexus, **SHORT)

    events = events_of(answer.text)
    check_events(events)
    assert "response.reasoning_text.delta" in {one["type"] for one in events}
    (thought,) = [one for one in whole.output if isinstance(one, ResponseReasoningItem)]
    assert (thought.summary, thought.encrypted_content) == ([], None)
    assert [part.text for part in thought.content or ()] == ["Two files."]


async def test_a_whole_answer_is_written_anew() -> None:
    thinking = {"reasoning_content": "Hm.", "content": None}
    choice = TOOL_ANSWER["choices"][0]
    told = TOOL_ANSWER | {"choices": [choice | {"message": choice["message"] | thinking}]}
    async with (
        upstreams(answers(told)) as (up,),
        running(local(up.url)) as nexus,
        sdk(nexus) as client,
    ):
        response = await client.responses.create(**SHORT)

    assert [one.type for one in response.output] == ["reasoning", "function_call"]
    call = response.output[1]
    assert isinstance(call, ResponseFunctionToolCall)
    assert json.loads(call.arguments) == {"city": "Göttingen"}
    assert (response.status, response.to_dict()["store"]) == ("completed", False)
    assert response.usage is not None
    assert response.usage.input_tokens == 3


async def test_custom_tools_namespaces_and_searches_come_back_as_they_were_offered() -> None:
    body = body_of("03-gpt-5.5-turn-1")
    space = body_of("02-turn-2")["tools"][2]
    patch = '*** Begin Patch\n*** Add File: ü"\\.txt\n+new\n*** End Patch'
    script = calls_stream(
        ("apply_patch", json.dumps({"input": patch})),
        ("multi_agent_v1__close_agent", '{"target": "a"}'),
        ("tool_search", '{"query": "mail"}'),
        ("exec_command", ""),
    )
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, body | {"tools": [*body["tools"], space]})

    events = events_of(answer.text)
    check_events(events)
    deltas = [one["delta"] for one in events if one["type"].endswith("call_input.delta")]
    assert len(deltas) > 1
    assert "".join(deltas) == patch
    sent = {one["function"]["name"]: one["function"] for one in json.loads(up.last.body)["tools"]}
    assert set(sent) >= {"apply_patch", "multi_agent_v1__close_agent", "tool_search"}
    assert "begin_patch hunk+ end_patch" in sent["apply_patch"]["description"]
    custom, spaced, search, empty = events[-1]["response"]["output"]
    assert ResponseCustomToolCall.model_validate(custom).input == patch
    assert (spaced["name"], spaced["namespace"]) == ("close_agent", "multi_agent_v1")
    assert ResponseToolSearchCall.model_validate(search).arguments == {"query": "mail"}
    assert search["execution"] == "client"
    assert empty["arguments"] == "{}"


async def test_tools_that_come_as_an_item_are_offered() -> None:
    script = calls_stream(("functions__exec", '{"input": "ls"}'))
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        response = await ask(nexus, body_of("05-gpt-6-additional-tools"))

    sent = json.loads(up.last.body)
    names = [one["function"]["name"] for one in sent["tools"]]
    assert names[:3] == ["functions__exec", "functions__wait", "clock__sleep"]
    assert sent["parallel_tool_calls"] is False
    (call,) = events_of(response.text)[-1]["response"]["output"]
    assert (call["type"], call["namespace"]) == ("custom_tool_call", "functions")
    assert (call["name"], call["input"]) == ("exec", "ls")


async def test_calls_and_results_of_every_kind_are_one_turn_and_its_answers() -> None:
    async with upstreams(calls_stream()) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, body_of("04-gpt-5.5-turn-2-custom-tool"))

    messages = json.loads(up.last.body)["messages"]
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "tool", "tool"]
    first, second = messages[2]["tool_calls"]
    assert (first["function"]["name"], second["function"]["name"]) == (
        "exec_command",
        "apply_patch",
    )
    assert json.loads(second["function"]["arguments"])["input"].startswith("*** Begin Patch")
    assert [one["tool_call_id"] for one in messages[3:]] == ["call_fake1", "call_fake2"]


async def test_what_a_search_found_can_be_called() -> None:
    found = {"type": "function", "name": "send", "parameters": {"type": "object"}}
    items = [
        {"role": "user", "content": "mail it"},
        {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"q": 1}},
        {
            "type": "tool_search_output",
            "call_id": "c1",
            "tools": [{"type": "namespace", "name": "mail", "description": "", "tools": [found]}],
        },
    ]
    tools = [{"type": "tool_search", "execution": "client", "description": "d"}]
    async with upstreams(calls_stream()) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, SHORT | {"input": items, "tools": tools, "stream": True})

    sent = json.loads(up.last.body)
    assert [one["function"]["name"] for one in sent["tools"]] == ["tool_search", "mail__send"]
    assert "mail__send" in sent["messages"][-1]["content"]


async def test_hosted_tools_are_left_out_and_told() -> None:
    hosted = [{"type": kind} for kind in ("web_search", "image_generation", "local_shell")]
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"tools": hosted, "tool_choice": "auto"})

    told = answer.headers["x-nexus-dropped-params"]
    assert told == "tools[0] (web_search), tools[1] (image_generation), tools[2] (local_shell)"
    assert json.loads(up.last.body).keys() == {"model", "messages"}


async def test_settings_are_those_of_chat() -> None:
    body = SHORT | {
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning": {"effort": "xhigh"},
        "text": {
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}},
        },
        "metadata": {"a": "b"},
        "truncation": "disabled",
    }
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, body)

    assert json.loads(up.last.body) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ],
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "high",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}},
        },
    }
    assert answer.headers["x-nexus-dropped-params"] == "text.verbosity"
    assert answer.json()["max_output_tokens"] == 50


async def test_images_of_the_user_and_of_results_reach_the_model() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"}
    items = [
        {"role": "user", "content": [picture]},
        {"type": "function_call", "call_id": "c1", "name": "see", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [picture]},
    ]
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, SHORT | {"input": items})
        await ask(nexus, body_of("08-json-schema-and-image", stream=False))

    first, last = (json.loads(one.body)["messages"] for one in up.received)
    assert [one["role"] for one in first] == ["user", "assistant", "tool", "user"]
    assert first[3]["content"][1]["image_url"] == {"url": "data:image/png;base64,iVBO"}
    kinds = [part["type"] for part in last[-1]["content"]]
    assert kinds == ["text", "text", "image_url", "text", "text"]


async def test_an_empty_probe_is_answered() -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, {"model": "m", "input": "", "max_output_tokens": 1})

    assert answer.status_code == 200
    assert json.loads(up.last.body)["messages"] == [{"role": "user", "content": ""}]


async def test_googles_signature_comes_back_with_the_call_it_belongs_to() -> None:
    body = SHORT | WITH_REASONING
    async with upstreams(google_answer()) as (up,), running(gemini(up.url)) as nexus:
        said = (await ask(nexus, body)).json()["output"]
        result = {"type": "function_call_output", "call_id": said[-1]["call_id"], "output": "x"}
        await ask(nexus, body | {"input": [{"role": "user", "content": "hi"}, *said, result]})

    parts = [part for one in json.loads(up.last.body)["contents"] for part in one["parts"]]
    (called,) = [part for part in parts if "functionCall" in part]
    assert called["thoughtSignature"] == "c2ln"


@pytest.mark.parametrize("is_summary", [True, False])
async def test_anthropics_thinking_comes_back_with_its_signature(is_summary: bool) -> None:
    reasoning = {"effort": "low", "summary": "auto" if is_summary else None}
    body = SHORT | {"include": ENCRYPTED, "reasoning": reasoning, "stream": True}
    script = streams([claude_stream("04-thinking-turn-1")])
    async with upstreams(script) as (up,), running(opus(up.url)) as nexus:
        events = events_of((await ask(nexus, body)).text)
        said = events[-1]["response"]["output"]
        for one in said:
            one |= {"content": None} if one["type"] == "reasoning" else {}  # as Codex does
        call = said[-1]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "x"}
        await ask(nexus, body | {"input": [{"role": "user", "content": "hi"}, *said, result]})

    thinking = json.loads(up.last.body)["messages"][1]["content"][0]
    assert thinking["type"] == "thinking"
    assert json.dumps(thinking["signature"]).encode() in claude_stream("04-thinking-turn-1")


async def test_thinking_of_a_local_model_comes_back_to_it() -> None:
    body = SHORT | {"include": ENCRYPTED}
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        said = [one.to_dict() for one in (await streamed(nexus, **body)).output]
        results = [
            {"type": "function_call_output", "call_id": one["call_id"], "output": "x"}
            for one in said
            if "call_id" in one
        ]
        await ask(nexus, body | {"input": [{"role": "user", "content": "hi"}, *said, *results]})

    turn = json.loads(up.last.body)["messages"][1]
    assert turn.keys() == {"role", "content", "reasoning_content", "tool_calls"}
    assert turn["reasoning_content"] == "Two files."


async def test_interleaved_calls_each_keep_their_arguments() -> None:
    async with upstreams(streams(INTERLEAVED)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})
        response = await streamed(nexus, **SHORT)

    check_events(events_of(answer.text))
    calls = [one for one in response.output if isinstance(one, ResponseFunctionToolCall)]
    assert [json.loads(one.arguments) for one in calls] == [{"x": 1}, {"y": 2}]


async def test_an_answer_at_its_limit_is_incomplete() -> None:
    cut = [FIRST, event({"content": "Hel"}), event({}, "length"), DONE]
    async with upstreams(streams(cut)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})

    last = events_of(answer.text)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][-1]["status"] == "incomplete"


async def test_a_server_that_ignores_stream_is_answered_as_a_stream() -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        response = await streamed(nexus, **SHORT)

    (message,) = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert response.output_text == ANSWER["choices"][0]["message"]["content"]


async def test_the_log_probabilities_that_were_asked_for_are_told() -> None:
    one = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    choice = {"index": 0, "delta": {"content": "Hi"}, "logprobs": {"content": [one]}}
    chunk = b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    more = {"top_logprobs": 0, "include": ["message.output_text.logprobs"], "stream": True}
    async with (
        upstreams(streams([FIRST, chunk, STOP, DONE])) as (up,),
        running(local(up.url)) as nexus,
    ):
        answer = await ask(nexus, SHORT | more)

    assert json.loads(up.last.body)["logprobs"] is True
    part = events_of(answer.text)[-1]["response"]["output"][0]["content"][0]
    assert one in part["logprobs"]


def test_every_recording_is_replayed() -> None:
    assert (len(TURNS), len(STREAMS)) == (7, 4)
