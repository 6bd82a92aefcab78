"""A whole completion told as a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.openai_chat.chunks import as_chunks

HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m", "system_fingerprint": "fp"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
SAID = {"role": "assistant", "content": "hé", "reasoning_content": "hm"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def events(answer: dict[str, Any], *, include_usage: bool = False) -> list[Any]:
    *told, end, rest = as_chunks(answer, include_usage=include_usage).decode().split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in told]


def whole(*choices: Any, **more: Any) -> dict[str, Any]:
    kind = {"object": "chat.completion", "usage": USAGE}
    return {**HEAD, **kind, "choices": list(choices), **more}


def test_every_choice_says_all_it_says_and_then_why_it_ended() -> None:
    choices = (
        {"index": 0, "message": SAID, "finish_reason": "stop", "logprobs": {"content": []}},
        {"index": 1, "message": {"content": None, "tool_calls": [CALL]}, "finish_reason": "x"},
    )

    said, ended = events(whole(*choices))

    assert {key: said[key] for key in HEAD} == HEAD
    assert said["object"] == ended["object"] == "chat.completion.chunk"
    assert said["choices"] == [
        {"index": 0, "delta": SAID, "finish_reason": None, "logprobs": {"content": []}},
        {
            "index": 1,
            "delta": {"content": None, "tool_calls": [{"index": 0, **CALL}]},
            "finish_reason": None,
        },
    ]
    assert ended["choices"] == [
        {"index": 0, "delta": {}, "finish_reason": "stop"},
        {"index": 1, "delta": {}, "finish_reason": "x"},
    ]


@pytest.mark.parametrize("include_usage", [False, True])
def test_the_usage_has_a_chunk_of_its_own_for_who_asked(include_usage: bool) -> None:
    told = events(whole({"message": SAID}), include_usage=include_usage)

    assert [event.get("usage") for event in told] == [None, None, *([USAGE] * include_usage)]
    assert [event["choices"] == [] for event in told] == [False, False, *([True] * include_usage)]


def test_a_text_completion_keeps_its_form() -> None:
    choice = {"index": 0, "text": "x", "finish_reason": "stop", "logprobs": None}
    answer = {**HEAD, "object": "text_completion", "choices": [choice], "usage": USAGE}

    assert events(answer) == [{**HEAD, "object": "text_completion", "choices": [choice]}]


@pytest.mark.parametrize("choice", [{}, {"message": None}, {"message": {"tool_calls": [3]}}, 7])
def test_odd_choices_are_no_crash(choice: Any) -> None:
    assert len(events(whole(choice))) == 2
