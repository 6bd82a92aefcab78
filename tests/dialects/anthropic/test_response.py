from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.anthropic.response import (
    MAX_MESSAGE_CHARS,
    read_usage,
    translate_error,
    translate_response,
)
from nexus_core.observe.events import TokenUsage
from tests.dialects.anthropic.sdk import check_completion

TEXT = {"type": "text", "text": "Hello"}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"ä": 1}}


def answer(*content: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": list(content),
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 4},
        **fields,
    }


def translate(message: dict[str, Any], **options: Any) -> dict[str, Any]:
    completion = translate_response(message, model="m", created=7, **options)
    check_completion(completion)
    return completion


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    translated: dict[str, Any] = translate(answer(*content, **fields))["choices"][0]["message"]
    return translated


def test_a_whole_answer() -> None:
    assert translate(answer(TEXT)) == {
        "id": "msg_01",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }


@pytest.mark.parametrize(
    ("reason", "content", "finish_reason"),
    [
        ("end_turn", [TEXT], "stop"),
        ("stop_sequence", [TEXT], "stop"),
        ("pause_turn", [TEXT], "stop"),
        ("max_tokens", [TEXT], "length"),
        ("model_context_window_exceeded", [TEXT], "length"),
        ("tool_use", [TOOL], "tool_calls"),
        ("refusal", [], "content_filter"),
        ("end_turn", [TOOL], "tool_calls"),
        ("max_tokens", [TOOL], "length"),
        ("refusal", [TOOL], "content_filter"),
        ("tool_use", [TEXT], "stop"),
        ("sudden_rapture", [TEXT], "stop"),
        (None, [TEXT], "stop"),
        (5, [TEXT], "stop"),
    ],
)
def test_a_stop_reason_becomes_a_finish_reason(
    reason: Any, content: list[Any], finish_reason: str
) -> None:
    completion = translate(answer(*content, stop_reason=reason))

    assert completion["choices"][0]["finish_reason"] == finish_reason


def test_text_of_several_blocks_is_one_content() -> None:
    assert message(TEXT, {"type": "text", "text": " you"})["content"] == "Hello you"


@pytest.mark.parametrize("content", [[], [TOOL], [{"type": "text", "text": ""}]])
def test_content_is_null_without_text(content: list[Any]) -> None:
    assert message(*content)["content"] is None


def test_calls_have_their_arguments_as_a_string() -> None:
    found = message(TEXT, TOOL, {**TOOL, "id": "toolu_2", "input": {}}, {**TOOL, "input": None})

    assert found["content"] == "Hello"
    assert [call["id"] for call in found["tool_calls"]] == ["toolu_1", "toolu_2", "toolu_1"]
    assert [call["function"]["arguments"] for call in found["tool_calls"]] == [
        '{"ä": 1}',
        "{}",
        "{}",
    ]


def test_thinking_is_readable_and_comes_with_what_the_next_turn_needs() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "eHl6"}

    found = message(thinking, TEXT, redacted, TOOL, stop_reason="tool_use")

    blocks = [
        {**thinking, "text_before": 0, "calls_before": 0},
        {**redacted, "text_before": 5, "calls_before": 0},
    ]
    assert found["reasoning_content"] == "hm"
    assert found["thinking_blocks"] == blocks
    assert found["tool_calls"][0]["extra_content"] == {"anthropic": {"thinking_blocks": blocks}}


@pytest.mark.parametrize(
    ("details", "refusal"),
    [
        ({"type": "refusal", "category": "bio", "explanation": "No."}, "No."),
        ({"category": "bio", "explanation": None}, "The model declined to answer (bio)."),
        (None, "The model declined to answer."),
        ("oh", "The model declined to answer."),
    ],
)
def test_a_refusal_says_why(details: Any, refusal: str) -> None:
    assert message(stop_reason="refusal", stop_details=details)["refusal"] == refusal


def test_citations_of_the_web_are_annotations() -> None:
    web = {"type": "web_search_result_location", "url": "https://e.org/", "title": None}
    found = message(
        TEXT,
        {
            "type": "text",
            "text": " there",
            "citations": [web, {"type": "char_location", "cited_text": "x"}, "rubbish"],
        },
    )

    assert found["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://e.org/",
                "title": "",
                "start_index": 5,
                "end_index": 11,
            },
        }
    ]


def test_what_the_providers_own_tools_do_is_passed_over() -> None:
    search = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []}

    assert message(search, found, {"type": "hologram"}, TEXT) == message(TEXT)


def test_legacy_functions_are_answered_with_a_function_call() -> None:
    (choice,) = translate(answer(TOOL, stop_reason="tool_use"), legacy_functions=True)["choices"]

    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"ä": 1}'}
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    "rubbish",
    [
        {},
        {"type": "error", "error": {"type": "api_error", "message": "x"}},
        {"type": "message"},
        {"type": "message", "content": "Hello"},
        {"type": "message", "content": ["Hello"]},
        {"type": "message", "content": [{"text": "x"}]},
        {"type": "message", "content": [{"type": "text"}]},
        {"type": "message", "content": [{"type": "tool_use", "id": "", "name": "f"}]},
        {"type": "message", "content": [{"type": "tool_use", "id": "1"}]},
        {"type": "message", "content": [{**TOOL, "input": "x"}]},
    ],
)
def test_rubbish_is_a_value_error(rubbish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        translate_response(rubbish, model="m", created=7)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 200,
                "cache_creation_input_tokens": 30,
                "output_tokens": 50,
                "output_tokens_details": {"thinking_tokens": 20},
            },
            TokenUsage(
                prompt_tokens=240,
                completion_tokens=50,
                cached_tokens=200,
                cache_write_tokens=30,
                reasoning_tokens=20,
            ),
        ),
        (
            {"input_tokens": 1, "cache_read_input_tokens": None, "output_tokens": 2},
            TokenUsage(prompt_tokens=1, completion_tokens=2),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "output_tokens_details": {"thinking_tokens": 9},
            },
            TokenUsage(prompt_tokens=1, completion_tokens=2, reasoning_tokens=2),
        ),
        (
            {"input_tokens": 3.0, "output_tokens": 2},
            TokenUsage(prompt_tokens=3, completion_tokens=2),
        ),
        ({"input_tokens": 3}, TokenUsage(prompt_tokens=3, completion_tokens=0)),
        # Half of a cost would look like one.
        ({"input_tokens": -1, "output_tokens": 2}, None),
        ({"input_tokens": 10**30, "output_tokens": 2}, None),
        ({"input_tokens": 2, "output_tokens": None}, None),
        ({"output_tokens": 2}, None),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({"input_tokens": True}, None),
        ({}, None),
        (None, None),
    ],
)
def test_usage_is_the_sum_of_what_anthropic_counts_apart(
    usage: Any, expected: TokenUsage | None
) -> None:
    assert read_usage(usage) == expected


def test_an_answer_without_usage_has_none() -> None:
    assert "usage" not in translate(answer(TEXT, usage=None))


ERRORS = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
]


@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_an_error_keeps_the_providers_words_and_status(status: int, kind: str) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "so it is"}, "request_id": "r"}

    assert translate_error(status, json.dumps(error).encode()) == (
        status,
        {"error": {"message": "so it is", "type": kind, "param": None, "code": None}},
    )


def test_an_errors_code_is_kept() -> None:
    details = {"error_code": "ramp_limit_exceeded"}
    error = {"error": {"type": "rate_limit_error", "message": "x", "details": details}}

    _, envelope = translate_error(429, json.dumps(error).encode())

    assert envelope["error"]["code"] == "ramp_limit_exceeded"


@pytest.mark.parametrize(
    ("status", "kind"), [*ERRORS, (418, "invalid_request_error"), (599, "api_error")]
)
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b"[]", b"{}", b'{"error": "x"}', b'{"error": {"message": " "}}'],
)
def test_an_error_that_says_nothing_is_put_in_plain_words(
    status: int, kind: str, body: bytes
) -> None:
    same, envelope = translate_error(status, body)

    assert same == status
    assert envelope["error"]["type"] == kind
    assert envelope["error"]["message"] == f"Anthropic answered {status} and did not say why"


def test_an_endless_message_is_cut() -> None:
    error = {"error": {"type": "api_error", "message": "x" * 99_999}}

    _, envelope = translate_error(500, json.dumps(error).encode())

    assert len(envelope["error"]["message"]) == MAX_MESSAGE_CHARS
