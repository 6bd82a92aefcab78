"""What an answer gives, a client returns, and the next request takes up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from nexus_core.dialects.anthropic.response import translate_response
from nexus_core.dialects.anthropic.stream import AnthropicStream
from nexus_core.dialects.sse import SseParser
from tests.dialects.anthropic.build import HAIKU_4_5, USER, function, result, translate

CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "First this.", "signature": "c2lnMQ=="},
    {"type": "redacted_thinking", "data": "eHl6"},
    {"type": "text", "text": "Let me look."},
    {"type": "thinking", "thinking": "", "signature": "c2lnMg=="},
    {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"q": "ä"}},
    {"type": "thinking", "thinking": "And that.", "signature": "c2lnMw=="},
    {"type": "tool_use", "id": "toolu_2", "name": "look_up", "input": {}},
]
STREAM = Path(__file__).parents[2] / "data" / "anthropic" / "thinking.sse"
STREAMED: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Two and two.", "signature": "EqQBCkYI"},
    {"type": "redacted_thinking", "data": "EmwKAhgB"},
    {"type": "text", "text": "Let me check."},
    {"type": "thinking", "thinking": "", "signature": "EqQBCkYJ"},
    {"type": "tool_use", "id": "toolu_01E", "name": "add", "input": {"a": 2, "b": 2}},
]


def answered() -> dict[str, Any]:
    """The message as OpenAI's client gives it to its user."""
    answer = {"id": "msg_1", "type": "message", "content": CONTENT, "stop_reason": "tool_use"}
    completion = ChatCompletion.model_validate(translate_response(answer, model="m", created=1))
    return completion.choices[0].message.model_dump(exclude_unset=True)


def streamed() -> dict[str, Any]:
    """The message as a user joins it from the deltas of OpenAI's client."""
    translator = AnthropicStream(model="m", created=1, include_usage=False)
    message: dict[Any, Any] = {}
    for event in SseParser().feed(STREAM.read_bytes()):
        for chunk in translator.feed(event):
            (choice,) = ChatCompletionChunk.model_validate(chunk).choices
            delta: dict[Any, Any] = choice.delta.model_dump(exclude_unset=True)
            message = accumulate_delta(message, delta)
    return message


def next_turn(message: dict[str, Any]) -> list[dict[str, Any]]:
    """What the provider sees of the message in the request after it."""
    results = [result(call["id"]) for call in message["tool_calls"]]
    body = translate(
        HAIKU_4_5,
        messages=[USER, message, *results],
        tools=[function("look_up"), function("add")],
        reasoning_effort="low",
    ).body
    assert body["thinking"]["type"] == "enabled"
    assert [block["tool_use_id"] for block in body["messages"][2]["content"]] == [
        call["id"] for call in message["tool_calls"]
    ]
    content: list[dict[str, Any]] = body["messages"][1]["content"]
    return content


def bare(message: dict[str, Any]) -> dict[str, Any]:
    """What is left by clients that return content and tool calls only."""
    return {name: message[name] for name in ("role", "content", "tool_calls")}


@pytest.mark.parametrize("kept", [dict, bare])
def test_an_answers_blocks_come_back_unchanged_and_in_order(kept: Any) -> None:
    assert next_turn(kept(answered())) == CONTENT


@pytest.mark.parametrize("kept", [dict, bare])
def test_a_streams_blocks_come_back_unchanged_and_in_order(kept: Any) -> None:
    assert next_turn(kept(streamed())) == STREAMED


def test_what_comes_back_survives_a_trip_through_json() -> None:
    assert next_turn(json.loads(json.dumps(answered()))) == CONTENT


def test_without_its_thinking_the_tool_use_goes_on_unthinking() -> None:
    message = bare(answered())
    message["tool_calls"] = [
        {name: call[name] for name in ("id", "type", "function")} for call in message["tool_calls"]
    ]

    translation = translate(
        HAIKU_4_5,
        messages=[USER, message, result("toolu_1"), result("toolu_2")],
        tools=[function()],
        reasoning_effort="low",
    )

    assert "thinking" not in translation.body
    assert "came back without its thinking" in translation.changed[0]
