"""Streams that are none, end oddly or hold an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.anthropic.stream import MAX_OPEN_BLOCKS
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import SseEvent
from nexus_core.observe.events import TokenUsage
from tests.dialects.anthropic.sdk import check_chunk
from tests.dialects.anthropic.test_stream import START, deltas, feed, joined, read, replay, stream


def test_an_error_in_mid_stream_has_the_providers_words() -> None:
    translator = stream()

    with pytest.raises(StreamFailedError) as error:
        replay(translator, read("error_midstream"))

    assert (error.value.message, error.value.type, error.value.status) == (
        "Overloaded",
        "overloaded_error",
        529,
    )
    assert not translator.is_complete
    assert translator.usage == TokenUsage(prompt_tokens=12, completion_tokens=1)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"type": "rate_limit_error", "message": "slow"}, "rate_limit_error", 429),
        ({"type": "novel_error", "message": "slow"}, "novel_error", 500),
        (None, "api_error", 500),
        ("oh", "api_error", 500),
        ({"type": 5, "message": ["x"]}, "api_error", 500),
    ],
)
def test_an_errors_type_tells_its_status(error: Any, kind: str, status: int) -> None:
    with pytest.raises(StreamFailedError) as failure:
        feed(stream(), "error", {"error": error})

    assert (failure.value.type, failure.value.status) == (kind, status)
    assert failure.value.message


@pytest.mark.parametrize(
    "events",
    [
        [("message_start", {})],
        [START, START],
        [("message_stop", {})],
        [("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})],
        [START, ("content_block_start", {"content_block": {"type": "text", "text": ""}})],
        [START, ("content_block_start", {"index": 0, "content_block": {"text": ""}})],
        [START, ("content_block_start", {"index": 0, "content_block": {"type": "text"}})],
        [START, ("content_block_start", {"index": 0, "content_block": {"type": "tool_use"}})],
        [START, ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": ""}})],
        [START, ("content_block_delta", {"index": 0})],
        [START, ("content_block_stop", {"index": 0})],
        [
            START,
            *[
                ("content_block_start", {"index": at, "content_block": {"type": "x"}})
                for at in range(MAX_OPEN_BLOCKS + 1)
            ],
        ],
    ],
)
def test_what_is_no_stream_of_a_message_is_refused(
    events: list[tuple[str, dict[str, Any]]],
) -> None:
    translator = stream()
    for event in events[:-1]:
        feed(translator, *event)

    with pytest.raises(ValueError, match=r"."):
        feed(translator, *events[-1])


@pytest.mark.parametrize("data", ["", "[]", "{", "NaN", '"x"'])
def test_an_event_that_is_no_json_object_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        stream().feed(SseEvent("ping", data))


def test_an_event_without_a_type_is_known_by_its_name() -> None:
    chunks = stream().feed(SseEvent("message_start", json.dumps(START[1])))

    assert len(chunks) == 1


def test_a_call_whose_block_never_ends_still_has_arguments() -> None:
    translator = stream(include_usage=False)
    feed(translator, *START)
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}
    feed(translator, "content_block_start", {"index": 0, "content_block": call})

    chunks = feed(translator, "message_stop", {})

    assert deltas(chunks)[0]["tool_calls"][0]["function"]["arguments"] == '{"x": 1}'
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_legacy_functions_are_answered_with_a_function_call() -> None:
    chunks = replay(stream(legacy_functions=True), read("parallel_tools"))

    message = joined(chunks)
    for chunk in chunks:
        check_chunk(chunk)
    assert "tool_calls" not in message
    assert message["function_call"] == {"name": "weather", "arguments": '{"city": "Köln"}'}
    assert chunks[-2]["choices"][0]["finish_reason"] == "function_call"


def test_nothing_comes_after_the_end() -> None:
    translator = stream()
    replay(translator, read("text"))

    assert feed(translator, *START) == []
    assert feed(translator, "message_stop", {}) == []
