from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects import sse
from nexus_core.dialects.sse import (
    EventSplitter,
    SseEvent,
    SseParser,
    encode_event,
    read_event,
)

STREAM = (
    "\ufeff: a comment\r\n"
    "event: one\r\ndata: grüß\r\ndata: dich 🦊\r\n\r\n"
    "event: empty\n\n"
    "data:no space\nid: 7\nretry: 3\n\n"
    "data: old\rdata: mac\r\r"
    "data\n\n"
    ": ping\n\n"
    "data: [DONE]\n\n"
    "data: cut off"
).encode()
EVENTS = [
    SseEvent("one", "grüß\ndich 🦊"),
    SseEvent("message", "no space", "7"),
    SseEvent("message", "old\nmac", "7"),
    SseEvent("message", "", "7"),
    SseEvent("message", "[DONE]", "7"),
]


def parse(*chunks: bytes) -> list[SseEvent]:
    parser = SseParser()
    return list(itertools.chain.from_iterable(parser.feed(chunk) for chunk in chunks))


def test_events_are_read_whole() -> None:
    assert parse(STREAM) == EVENTS


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_a_chunk_border_anywhere_changes_nothing(at: int) -> None:
    assert parse(STREAM[:at], STREAM[at:]) == EVENTS


def test_single_bytes_change_nothing() -> None:
    assert parse(*(bytes([byte]) for byte in STREAM)) == EVENTS


def test_an_event_is_given_out_with_the_bytes_that_end_it() -> None:
    parser = SseParser()

    before = list(parser.feed(b"data: 1\r\n\r"))
    after = list(parser.feed(b"\ndata: 2\r\n\r\n"))

    assert before == [SseEvent("message", "1")]
    assert after == [SseEvent("message", "2")]


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_read_and_borders_do_not_matter(data: bytes, at: int) -> None:
    assert parse(data[:at], data[at:]) == parse(data)


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="line"):
        parse(*[b"x" * 65536] * (sse.MAX_LINE_BYTES // 65536 + 1))


def test_an_event_without_end_is_refused() -> None:
    line = b"data: " + b"x" * 65536 + b"\n"

    with pytest.raises(ValueError, match="event"):
        parse(*[line] * (sse.MAX_EVENT_BYTES // 65536 + 1))


def test_an_encoded_event_is_read_back() -> None:
    assert parse(encode_event({"text": "line\nbreak ü"})) == [
        SseEvent("message", '{"text":"line\\nbreak ü"}')
    ]


def split(*chunks: bytes) -> list[tuple[str, str]]:
    """Types and data of the events that an EventSplitter finds, with an unended last one."""
    splitter = EventSplitter()
    parts = [part for chunk in chunks for part in splitter.feed(chunk)] + splitter.finish()
    return [(event.event, event.data) for part in parts if (event := read_event(part))]


def parsed(data: bytes) -> list[tuple[str, str]]:
    parser = SseParser()
    events = [*parser.feed(data), *parser.finish()]
    return [(event.event, event.data) for event in events]


LINES = ["data: {}", "data:x", "data", "event: a", "event:", ": ping", "id: 7", "retry: 3", " "]
ENDS = ["\n", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\ufeff", "é"]
PIECES = st.lists(st.sampled_from([*LINES, *ENDS]), max_size=12)


@given(PIECES.map("".join), st.lists(st.integers(0, 80), max_size=4))
def test_events_are_split_as_they_are_parsed(text: str, borders: list[int]) -> None:
    data = text.encode()
    at = [0, *sorted(min(border, len(data)) for border in borders), len(data)]

    found = split(*(data[a:b] for a, b in itertools.pairwise(at)))

    assert found == parsed(data)


@given(PIECES.map("".join), st.lists(st.integers(0, 80), max_size=4))
def test_events_may_be_split_one_by_one(text: str, borders: list[int]) -> None:
    data, splitter, found = text.encode(), EventSplitter(), list[bytes]()
    borders = [0, *sorted(min(border, len(data)) for border in borders), len(data)]
    for start, end in itertools.pairwise(borders):
        read, at = data[start:end], 0
        while at < len(read):
            begin = at
            events, at = splitter.feed_one(read, begin)
            assert at > begin
            found += events
    found += splitter.finish()

    read_ones = [(event.event, event.data) for part in found if (event := read_event(part))]
    assert read_ones == parsed(data)


def test_events_are_given_out_with_the_bytes_that_end_them() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b"data: 1\n\ndata: 2\n") == [b"data: 1"]
    assert splitter.feed(b"\n") == [b"data: 2"]
    assert splitter.finish() == []


def test_an_unended_event_with_carriage_returns_is_read_too() -> None:
    unended = b"data: 1\r\n\r\nevent: a\r\ndata: 2"

    assert split(unended) == split(unended[:20], unended[20:]) == [("message", "1"), ("a", "2")]


def test_a_splitter_holds_no_line_without_end() -> None:
    splitter = EventSplitter()
    splitter.feed(b"x" * sse.MAX_LINE_BYTES + b"x")

    with pytest.raises(ValueError, match="line"):
        splitter.feed(b"x")
