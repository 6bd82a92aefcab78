from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta

from nexus_core.dialects.gemini import AnswerForm, GoogleStream, translate_response
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import SseEvent, SseParser
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject
from tests.dialects.gemini.bodies import answer
from tests.dialects.gemini.oracles import check_chunk

DATA = Path(__file__).parents[2] / "data" / "google"
GOLDEN = [
    "text",
    "two_calls_in_one_event",
    "two_calls_in_two_events",
    "call_then_late_stop",
    "thinking",
    "blocked_prompt",
    "safety_cut",
    "two_candidates",
]


def new_stream(*, include_usage: bool = True, form: AnswerForm | None = None) -> GoogleStream:
    return GoogleStream(
        model="gemini-x", created=1, include_usage=include_usage, form=form or AnswerForm()
    )


def replay(pieces: list[bytes], stream: GoogleStream) -> list[JsonObject]:
    """All chunks of a stream whose bytes come in these pieces."""
    parser = SseParser()
    chunks = [
        chunk for piece in pieces for event in parser.feed(piece) for chunk in stream.feed(event)
    ]
    assert stream.is_complete
    return chunks + stream.finish()


def whole(name: str, stream: GoogleStream | None = None) -> list[JsonObject]:
    chunks = replay([(DATA / f"{name}.sse").read_bytes()], stream or new_stream())
    for chunk in chunks:
        check_chunk(chunk)
    return chunks


def joined(chunks: list[JsonObject], index: int = 0) -> JsonObject:
    """A choice's message as the `openai` client puts it together."""
    message: dict[object, object] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] == index:
                message = accumulate_delta(message, choice["delta"])
    return json.loads(json.dumps(message))  # type: ignore[no-any-return]


def event(body: object) -> SseEvent:
    return SseEvent("message", json.dumps(body))


@pytest.mark.parametrize("name", GOLDEN)
def test_borders_change_nothing(name: str) -> None:
    data = (DATA / f"{name}.sse").read_bytes()
    expected = whole(name)

    for at in range(len(data) + 1):
        assert replay([data[:at], data[at:]], new_stream()) == expected

    assert replay([data[at : at + 1] for at in range(len(data))], new_stream()) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_what_every_stream_keeps(name: str) -> None:
    chunks = whole(name)

    assert b"\r\n\r\n" in (DATA / f"{name}.sse").read_bytes()
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-mRk9aYvB"}
    assert chunks[-1]["choices"] == []
    assert all("usage" not in chunk for chunk in chunks[:-1])
    choices = [choice for chunk in chunks[:-1] for choice in chunk["choices"]]
    for index in {choice["index"] for choice in choices}:
        own = [choice for choice in choices if choice["index"] == index]
        assert [choice["delta"].get("role") for choice in own] == ["assistant"] + [None] * (
            len(own) - 1
        )
        assert [choice["finish_reason"] is None for choice in own] == [True] * (len(own) - 1) + [
            False
        ]


def test_text() -> None:
    chunks = whole("text")

    assert [chunk["choices"][0]["delta"] for chunk in chunks[:-1]] == [
        {"role": "assistant", "content": "Grüße"},
        {"content": " aus 東京 🗼"},
        {"content": "."},
        {},
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] == 15
    assert chunks[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 4


@pytest.mark.parametrize("name", ["two_calls_in_one_event", "two_calls_in_two_events"])
def test_two_calls(name: str) -> None:
    chunks = whole(name)

    calls = joined(chunks)["tool_calls"]
    assert [call["function"] for call in calls] == [
        {"name": "weather", "arguments": '{"city":"Köln"}'},
        {"name": "clock", "arguments": "{}"},
    ]
    assert [call["index"] for call in calls] == [0, 1]
    assert len({call["id"] for call in calls}) == 2
    assert [call.get("extra_content") for call in calls] == [
        {"google": {"thought_signature": "Co4BAdHtim8sKx0pVxq9V0Wm2yQv"}},
        None,
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"]["completion_tokens"] == 54


def test_a_stop_that_comes_after_the_call_is_for_the_call() -> None:
    chunks = whole("call_then_late_stop")

    message = joined(chunks)
    assert message["content"] == "Let me look."
    assert message["tool_calls"][0]["id"] == "fc_own_1"
    assert message["tool_calls"][0]["function"]["arguments"] == '{"city":"Paris","days":[1,2]}'
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_that_comes_after_the_stop_counts_too() -> None:
    stream = new_stream(include_usage=False)

    stream.feed(event(answer({"text": "x"})))
    stream.feed(event(answer({"functionCall": {"name": "f"}}, reason=None)))

    assert stream.finish()[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_thinking() -> None:
    chunks = whole("thinking")

    message = joined(chunks)
    assert message["reasoning_content"] == "**Weighing** the question"
    assert message["content"] == "Forty-two."
    assert message["extra_content"] == {
        "google": {"thought_signature": "CtsBAdHtim9fQ3b7kzP1c0ZrJg=="}
    }
    assert chunks[-1]["usage"]["completion_tokens"] == 43
    assert chunks[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 40


def test_of_several_signatures_of_texts_the_last_one_goes_out_once() -> None:
    stream = new_stream(include_usage=False)

    chunks = stream.feed(event(answer({"text": "a", "thoughtSignature": "QUJD"}, reason=None)))
    chunks += stream.feed(event(answer({"text": "b", "thoughtSignature": "REVG"})))
    chunks += stream.finish()

    assert joined(chunks)["extra_content"] == {"google": {"thought_signature": "REVG"}}


def test_a_blocked_prompt() -> None:
    chunks = whole("blocked_prompt")

    assert joined(chunks) == {
        "role": "assistant",
        "refusal": "The prompt was blocked by Gemini (PROHIBITED_CONTENT).",
    }
    assert chunks[-2]["choices"][0]["finish_reason"] == "content_filter"
    assert chunks[-1]["usage"]["prompt_tokens"] == 12


def test_a_cut_for_safety_keeps_what_was_said() -> None:
    chunks = whole("safety_cut")

    assert joined(chunks) == {"role": "assistant", "content": "First you"}
    assert chunks[-2]["choices"][0]["finish_reason"] == "content_filter"


def test_two_candidates() -> None:
    chunks = whole("two_candidates")

    assert joined(chunks, 0)["content"] == "one!"
    assert joined(chunks, 1)["content"] == "uno y más"
    assert [
        (chunk["choices"][0]["index"], chunk["choices"][0]["finish_reason"])
        for chunk in chunks[-3:-1]
    ] == [(0, "stop"), (1, "length")]


def test_an_error_in_mid_stream() -> None:
    stream = new_stream()
    first, second = SseParser().feed((DATA / "error.sse").read_bytes())

    said = stream.feed(first)
    with pytest.raises(StreamFailedError) as error:
        stream.feed(second)

    assert joined(said)["content"] == "Once upon"
    assert (error.value.message, error.value.type, error.value.status) == (
        "The model is overloaded. Please try again later.",
        "UNAVAILABLE",
        503,
    )
    assert stream.usage == TokenUsage(prompt_tokens=5, completion_tokens=2)


def test_an_error_in_a_list() -> None:
    with pytest.raises(StreamFailedError, match=r"^no$"):
        new_stream().feed(event([{"error": {"message": "no", "code": 400}}]))


def test_a_model_that_failed_fails_the_stream() -> None:
    stream = new_stream()

    with pytest.raises(StreamFailedError, match="Malformed function call") as error:
        replay([(DATA / "malformed_call.sse").read_bytes()], stream)

    assert (error.value.type, error.value.status) == ("MALFORMED_FUNCTION_CALL", 502)


def test_a_stream_that_was_cut_is_not_complete() -> None:
    stream = new_stream()
    for each in SseParser().feed((DATA / "cut.sse").read_bytes()):
        stream.feed(each)

    assert not stream.is_complete
    with pytest.raises(ValueError, match="before the answer did"):
        stream.finish()


def test_a_stream_without_events_is_not_complete() -> None:
    assert not new_stream().is_complete


@pytest.mark.parametrize(
    "data", ["", "x", "5", "[]", "[1]", '{"candidates":5}', '{"candidates":[{"index":-1}]}']
)
def test_an_event_of_rubbish(data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        new_stream().feed(SseEvent("message", data))


def test_usage_comes_only_if_asked_and_is_always_known() -> None:
    stream = new_stream(include_usage=False)

    chunks = whole("text", stream)

    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)
    assert stream.usage == TokenUsage(prompt_tokens=7, completion_tokens=8, cached_tokens=4)


def test_a_count_that_an_event_leaves_out_stands() -> None:
    stream = new_stream()
    first = {**answer({"text": "a"}, reason=None)}
    first["usageMetadata"] = {"promptTokenCount": 5, "thoughtsTokenCount": 7}
    last = {**answer({"text": "b"}), "usageMetadata": {"candidatesTokenCount": 2}}

    stream.feed(event(first))
    stream.feed(event(last))

    assert stream.usage == TokenUsage(prompt_tokens=5, completion_tokens=9, reasoning_tokens=7)


def test_one_call_at_a_time_and_the_legacy_field() -> None:
    two = answer({"functionCall": {"name": "a"}}, {"functionCall": {"name": "b"}})
    single = new_stream(include_usage=False, form=AnswerForm(one_call=True))
    legacy = new_stream(include_usage=False, form=AnswerForm(one_call=True, as_function_call=True))

    calls = joined(single.feed(event(two)) + single.finish())["tool_calls"]
    chunks = legacy.feed(event(two)) + legacy.finish()

    assert [call["function"]["name"] for call in calls] == ["a"]
    assert joined(chunks)["function_call"] == {"name": "a", "arguments": "{}"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"


LOGPROBS = {"chosenCandidates": [{"token": "a", "logProbability": -1.5}]}
GROUNDING = {"groundingChunks": [{"web": {"uri": "https://example.org", "title": "E"}}]}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
WHOLE_ANSWERS: list[dict[str, Any]] = [
    answer({"text": "hm", "thought": True}, {"text": "a"}, {"text": "b", "thoughtSignature": "QQ"}),
    answer({"text": "a"}, {"functionCall": {"name": "f", "args": {"x": [1]}}}),
    answer(
        {"functionCall": {"name": "f"}, "thoughtSignature": "QUJD"},
        {"functionCall": {"name": "g", "id": "own"}},
    ),
    answer({"text": "a"}, IMAGE, IMAGE, reason="MAX_TOKENS"),
    answer(reason="SAFETY"),
    answer({"text": "a"}, logprobsResult=LOGPROBS),
]


@pytest.mark.parametrize("body", WHOLE_ANSWERS)
def test_a_stream_of_one_event_joins_to_the_whole_answer(body: JsonObject) -> None:
    stream = new_stream()

    chunks = stream.feed(event(body)) + stream.finish()

    completion = translate_response(body, model="gemini-x", created=1)
    message = joined(chunks)
    for call in message.get("tool_calls", ()):
        call.pop("index")
    choice = completion["choices"][0]
    assert {key: value for key, value in choice["message"].items() if value} == message
    assert chunks[-2]["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert chunks[-1]["usage"] == completion["usage"]
    said = [each["choices"][0]["logprobs"] for each in chunks[:-1]]
    assert next((logprobs for logprobs in said if logprobs), None) == choice["logprobs"]


def test_sources_go_out_once_for_the_whole_text() -> None:
    stream = new_stream(include_usage=False)

    chunks = stream.feed(event(answer({"text": "abc"}, groundingMetadata=GROUNDING, reason=None)))
    chunks += stream.feed(event(answer({"text": "de"}, groundingMetadata=GROUNDING)))
    chunks += stream.finish()

    for chunk in chunks:
        check_chunk(chunk)
    annotation = joined(chunks)["annotations"][0]
    assert annotation["url_citation"] == {
        "url": "https://example.org",
        "title": "E",
        "start_index": 0,
        "end_index": 5,
    }


def test_a_long_stream_takes_no_more_memory_than_a_short_one() -> None:
    stream = new_stream()
    piece = event(answer({"text": "x" * 100}, reason=None))
    stream.feed(piece)
    before = _held(stream)

    for _ in range(1000):
        stream.feed(piece)

    assert _held(stream) <= before + 64  # numbers grow by a digit


def _held(value: Any) -> int:
    """Characters of all that a stream keeps."""
    if isinstance(value, dict):
        return sum(_held(key) + _held(inner) for key, inner in value.items())
    if isinstance(value, list):
        return sum(_held(inner) for inner in value)
    if isinstance(value, GoogleStream):
        return _held(vars(value))
    return len(repr(value))
