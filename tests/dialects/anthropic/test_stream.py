from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta

from nexus_core.dialects.anthropic.response import translate_response
from nexus_core.dialects.anthropic.stream import AnthropicStream
from nexus_core.dialects.anthropic.thinking_blocks import MAX_KEPT_CHARS
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import SseEvent, SseParser
from nexus_core.observe.events import TokenUsage
from tests.dialects.anthropic.sdk import check_chunk

DATA = Path(__file__).parents[2] / "data" / "anthropic"
WHOLE = sorted(path.stem for path in DATA.glob("*.sse") if path.stem != "error_midstream")


def stream(**options: Any) -> AnthropicStream:
    return AnthropicStream(**{"model": "m", "created": 7, "include_usage": True, **options})


def read(name: str) -> bytes:
    return (DATA / f"{name}.sse").read_bytes()


def replay(translator: AnthropicStream, *pieces: bytes) -> list[dict[str, Any]]:
    parser = SseParser()
    return [
        chunk
        for piece in pieces
        for event in parser.feed(piece)
        for chunk in translator.feed(event)
    ]


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message as OpenAI's own client joins it."""
    message: dict[object, object] = {}
    for delta in json.loads(json.dumps(deltas(chunks))):
        message = accumulate_delta(message, delta)
    return {str(name): value for name, value in message.items()}


def without_index(value: Any) -> Any:
    if isinstance(value, list):
        return [without_index(item) for item in value]
    if isinstance(value, dict):
        return {key: without_index(item) for key, item in value.items() if key != "index"}
    return value


def feed(translator: AnthropicStream, kind: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    return translator.feed(SseEvent(kind, json.dumps({"type": kind, **fields})))


START: tuple[str, dict[str, Any]] = (
    "message_start",
    {"message": {"id": "msg_01", "usage": {"input_tokens": 1, "output_tokens": 1}}},
)


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_gives_openais_chunks(name: str) -> None:
    translator = stream()

    chunks = replay(translator, read(name))

    for chunk in chunks:
        check_chunk(chunk)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert ["role" in delta for delta in deltas(chunks)].count(True) == 1
    assert {chunk["id"] for chunk in chunks} == {"msg_01"}
    assert {chunk["created"] for chunk in chunks} == {7}
    assert ["usage" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    assert reasons[-1] is not None
    assert translator.is_complete


@pytest.mark.parametrize("name", WHOLE)
def test_chunks_do_not_depend_on_where_the_bytes_are_cut(name: str) -> None:
    data = read(name)
    expected = replay(stream(), data)

    for at in range(1, len(data)):
        assert replay(stream(), data[:at], data[at:]) == expected, at
    assert replay(stream(), *(data[at : at + 1] for at in range(len(data)))) == expected


def test_an_error_comes_after_the_same_chunks_wherever_the_bytes_are_cut() -> None:
    data = read("error_midstream")

    for at in range(1, len(data)):
        translator, parser = stream(), SseParser()
        said: list[Any] = []
        with pytest.raises(StreamFailedError):  # noqa: PT012  (what came before it counts too)
            for piece in (data[:at], data[at:]):
                for event in parser.feed(piece):
                    said += [delta.get("content") for delta in deltas(translator.feed(event))]
        assert said == ["", "Half"], at


def test_the_chunks_of_a_text() -> None:
    head = {"id": "msg_01", "object": "chat.completion.chunk", "created": 7, "model": "m"}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        only = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**head, "choices": [only]}

    assert replay(stream(include_usage=False), read("text")) == [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Grüß"}),
        chunk({"content": " dich 🦊\n"}),
        chunk({}, "stop"),
    ]


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_that_is_cut_is_never_complete(name: str) -> None:
    events = list(SseParser().feed(read(name)))
    translator = stream()

    for event in events[:-1]:
        translator.feed(event)

    assert not translator.is_complete


@pytest.mark.parametrize(
    ("name", "message", "reason"),
    [
        ("text", {"content": "Grüß dich 🦊\n"}, "stop"),
        ("unknown_events", {"content": "Here."}, "stop"),
        ("cached_usage", {"content": "Yes."}, "stop"),
        (
            "parallel_tools",
            {
                "content": "I look up both.",
                "tool_calls": [
                    ("toolu_01A", "weather", '{"city": "Köln"}'),
                    ("toolu_01B", "weather", '{"city": "Bonn"}'),
                ],
            },
            "tool_calls",
        ),
        (
            "tool_without_input",
            {"tool_calls": [("toolu_01C", "now", "{}"), ("toolu_01D", "here", "{}")]},
            "tool_calls",
        ),
        (
            "max_tokens_in_a_tool",
            {"tool_calls": [("toolu_01F", "write", '{"text": "lo')]},
            "length",
        ),
        ("refusal", {"content": "First", "refusal": "This may help to do harm."}, "content_filter"),
        ("refusal_at_once", {"refusal": "The model declined to answer (cyber)."}, "content_filter"),
        ("thinking", {"reasoning_content": "Two and two."}, "tool_calls"),
        ("web_search", {"content": "It says yes and no."}, "stop"),
    ],
)
def test_clients_join_the_chunks_to_the_message(
    name: str, message: dict[str, Any], reason: str
) -> None:
    chunks = replay(stream(include_usage=False), read(name))

    found = joined(chunks)
    found["tool_calls"] = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in found.get("tool_calls", [])
    ]
    assert {key: found[key] for key in message} == message
    assert chunks[-1]["choices"][0]["finish_reason"] == reason


def whole_message(name: str) -> dict[str, Any]:
    """The message that a stream is the stream of, put together by hand."""
    message: dict[str, Any] = {}
    for event in SseParser().feed(read(name)):
        data = json.loads(event.data)
        match data["type"]:
            case "message_start":
                message = data["message"]
            case "content_block_start":
                message["content"].append({**data["content_block"], "json": ""})
            case "content_block_delta":
                block, delta = message["content"][data["index"]], data["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] += delta["signature"]
                    case "input_json_delta":
                        block["json"] += delta["partial_json"]
                    case "citations_delta":
                        block["citations"].append(delta["citation"])
            case "content_block_stop":
                block = message["content"][data["index"]]
                if block["json"]:
                    block["input"] = json.loads(block["json"])
            case "message_delta":
                message |= data["delta"]
                message["usage"] |= data["usage"]
    return message


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "max_tokens_in_a_tool"])
def test_a_stream_says_the_same_as_the_whole_answer(name: str) -> None:
    whole = translate_response(whole_message(name), model="m", created=7)

    chunks = replay(stream(), read(name))

    message = without_index(joined(chunks))
    message["content"] = message["content"] or None
    expected = whole["choices"][0]
    assert message == expected["message"]
    assert chunks[-2]["choices"][0]["finish_reason"] == expected["finish_reason"]
    assert chunks[-1]["usage"] == whole["usage"]


def test_id_and_name_of_a_call_come_once_and_indexes_count_calls_only() -> None:
    chunks = replay(stream(), read("parallel_tools"))

    calls = [call for delta in deltas(chunks) for call in delta.get("tool_calls", [])]
    assert [call["index"] for call in calls] == [0, 0, 0, 1, 1]
    assert [call.get("id") for call in calls] == ["toolu_01A", None, None, "toolu_01B", None]
    assert [call["function"].get("name") for call in calls] == [
        "weather",
        None,
        None,
        "weather",
        None,
    ]


def test_thinking_goes_out_at_once_and_with_the_first_call_again() -> None:
    chunks = replay(stream(), read("thinking"))

    message = joined(chunks)
    blocks = [
        {
            "type": "thinking",
            "thinking": "Two and two.",
            "signature": "EqQBCkYI",
            "text_before": 0,
            "calls_before": 0,
        },
        {"type": "redacted_thinking", "data": "EmwKAhgB", "text_before": 0, "calls_before": 0},
        {
            "type": "thinking",
            "thinking": "",
            "signature": "EqQBCkYJ",
            "text_before": 13,
            "calls_before": 0,
        },
    ]
    assert without_index(message["thinking_blocks"]) == blocks
    extra = message["tool_calls"][0]["extra_content"]
    assert extra == {"anthropic": {"thinking_blocks": blocks}}


def test_long_thinking_is_not_kept_for_the_call() -> None:
    translator = stream()
    start = {"type": "thinking", "thinking": "", "signature": ""}
    piece = {"type": "thinking_delta", "thinking": "x" * 1000}
    events: list[tuple[str, dict[str, Any]]] = [
        ("content_block_start", {"index": 0, "content_block": start}),
        *[("content_block_delta", {"index": 0, "delta": piece})] * (MAX_KEPT_CHARS // 1000 + 1),
        (
            "content_block_delta",
            {"index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        ),
        ("content_block_stop", {"index": 0}),
        (
            "content_block_start",
            {"index": 1, "content_block": {"type": "tool_use", "id": "a", "name": "f"}},
        ),
    ]

    chunks = [chunk for event in [START, *events] for chunk in feed(translator, *event)]

    call = deltas(chunks)[-1]["tool_calls"][0]
    assert call["id"] == "a"
    assert "extra_content" not in call
    assert joined(chunks)["thinking_blocks"][0]["signature"] == "s"


def test_annotations_say_which_text_they_are_about() -> None:
    message = joined(replay(stream(), read("web_search")))

    found = [entry["url_citation"] for entry in message["annotations"]]
    assert [
        (citation["url"], message["content"][citation["start_index"] : citation["end_index"]])
        for citation in found
    ] == [("https://example.org/", "yes"), ("https://example.org/no", " and no.")]


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("text", TokenUsage(prompt_tokens=12, completion_tokens=9)),
        ("thinking", TokenUsage(prompt_tokens=12, completion_tokens=80, reasoning_tokens=41)),
        (
            "cached_usage",
            TokenUsage(
                prompt_tokens=8_520,
                completion_tokens=5,
                cached_tokens=7_000,
                cache_write_tokens=1_500,
            ),
        ),
        ("web_search", TokenUsage(prompt_tokens=4_000, completion_tokens=70)),
    ],
)
def test_usage_is_known_whether_or_not_the_client_asked(name: str, usage: TokenUsage) -> None:
    asked, unasked = stream(), stream(include_usage=False)

    chunks = replay(asked, read(name))
    bare = replay(unasked, read(name))

    assert asked.usage == unasked.usage == usage
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == usage.prompt_tokens
    assert bare == chunks[:-1]
