"""Streams of messages as whole ones, with Anthropic's own client as judge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic._models import construct_type
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent

from nexus_core.dialects.anthropic.inbound.collected import MessageCollector
from nexus_core.dialects.anthropic.inbound.events import as_events, event
from tests.scenarios.messages import RECORDINGS, events_of, recorded_stream

STREAMS = sorted(path.name.removesuffix(".stream.txt") for path in RECORDINGS.glob("*.stream.txt"))
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Two files.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "abc"},
        {"type": "text", "text": "Grüße 😀"},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls", "n": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "Now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 5},
}


def collected(stream: bytes, size: int = 0) -> dict[str, Any]:
    """What the collector makes of a stream that comes in pieces of this size."""
    collector = MessageCollector()
    size = size or len(stream) or 1
    for at in range(0, len(stream), size):
        collector.feed(stream[at : at + size])
    message: dict[str, Any] = json.loads(collector.whole())
    return message


@pytest.mark.parametrize("size", [0, 1, 7, 100])
def test_a_message_and_its_stream_are_the_same(size: int) -> None:
    assert collected(as_events(MESSAGE), size) == MESSAGE


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_what_anthropics_client_makes_of_it(name: str) -> None:
    stream = recorded_stream(name)
    expected: Any = None
    pieces: dict[int, bytes] = {}
    for _, fields in events_of(stream.decode()):
        if fields["type"] != "ping":
            told: Any = construct_type(value=fields, type_=RawMessageStreamEvent)
            expected = accumulate_event(event=told, current_snapshot=expected, json_bufs=pieces)

    message = collected(stream)

    assert expected is not None
    read: Any = construct_type(value=message, type_=Message)
    assert read.model_dump(exclude={"usage"}) == expected.model_dump(exclude={"usage"})
    assert read.usage.output_tokens == expected.usage.output_tokens


def test_citations_and_what_the_end_tells_are_kept() -> None:
    begun = {**MESSAGE, "content": [], "stop_reason": None}
    cited = {"type": "char_location", "cited_text": "x"}
    end = {"stop_reason": "end_turn", "stop_sequence": None, "container": {"id": "c"}}
    pieces = [{"type": "text_delta", "text": "a"}, {"type": "citations_delta", "citation": cited}]
    stream = b"".join(
        (
            event("message_start", message=begun),
            event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            *(event("content_block_delta", index=0, delta=piece) for piece in pieces),
            event("content_block_stop", index=0),
            event("message_delta", delta=end, usage={"output_tokens": 9}, context_management={}),
            event("message_stop"),
        )
    )

    message = collected(stream)

    assert message["content"] == [{"type": "text", "text": "a", "citations": [cited]}]
    assert (message["container"], message["context_management"]) == ({"id": "c"}, {})
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (10, 9)


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        event("ping"),
        event("message_start", message=MESSAGE) + event("content_block_stop", index=3),
        b"event: message_start\ndata: {oops\n\n",
    ],
)
def test_what_is_no_message_is_told(stream: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are for people
        collected(stream)
