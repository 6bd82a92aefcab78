"""Chunks in a known frame: nothing is missed that a close look would find."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.openai_chat.answers import text_length
from nexus_core.dialects.openai_chat.frame import ChunkFrame
from nexus_core.dialects.openai_chat.stream import ChatStreamReader

HEAD: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m"}


def said(text: str, *, padding: str | None = None, indent: str = "") -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    fields = {**HEAD, "choices": [choice], "usage": None}
    if padding is not None:
        fields["obfuscation"] = padding
    separators = (f",{indent}", f":{indent}")
    return f"data: {json.dumps(fields, separators=separators)}\n\n".encode()


def frame(lines: bytes) -> ChunkFrame:
    found = ChunkFrame.of_last(lines)
    assert found is not None
    return found


@pytest.mark.parametrize("indent", ["", " "])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@given(texts=st.lists(st.text() | st.sampled_from(['"', "\\", 'a "b"', '\\\\"', "\n", "é"])))
def test_texts_in_the_frame_are_measured(texts: list[str], indent: str, line_end: bytes) -> None:
    first = said("Hello", indent=indent).replace(b"\n", line_end)
    lines = b"".join(said(text, indent=indent) for text in texts).replace(b"\n", line_end)

    size = frame(first).text_bytes(lines)

    if texts:
        assert size == text_length(lines)


@given(texts=st.lists(st.text(), min_size=1))
def test_what_is_escaped_around_a_text_is_no_part_of_its_size(texts: list[str]) -> None:
    def named(text: str) -> bytes:
        return said(text).replace(b'"model":"m"', b'"model":"\\u6a21\\u578b\\u7528"')

    together, sizes = b"".join(map(named, texts)), [text_length(said(text)) for text in texts]

    assert frame(named("Hello")).text_bytes(together) == sum(sizes) == text_length(together)
    assert min(sizes) >= 0


def test_padding_of_any_length_is_no_difference() -> None:
    padded = frame(said("Hello", padding="aB3"))

    assert padded.text_bytes(said("you", padding="") + said("two", padding="xyzXYZ0")) == 6
    assert padded.text_bytes(said("you", padding='x","usage":{"prompt_tokens":1},"a":"')) is None


@pytest.mark.parametrize(
    "other",
    [
        b"data: [DONE]\n\n",
        b": ping\n\n",
        b"\n\n",
        b"event: error\n" + said("x"),
        said("x").replace(b"null}]", b'"stop"}]'),
        said("x").replace(b'"usage":null', b'"usage":{"prompt_tokens":1}'),
        said("x").replace(b'"usage":null', b'"error":{"message":"no"}'),
        said("x").replace(b'"x"', b'"x","refusal":"y"'),
        said("x").replace(b'"x"', b'"x\\"'),
        said("x").replace(b"chatcmpl-1", b"chatcmpl-2"),
        said("x")[:-1],
        said("x").replace(b"\n\n", b"\r\n\r\n"),
        said("x")[:-20] + b"\n\n",
    ],
)
def test_what_is_not_in_the_frame_is_for_a_closer_look(other: bytes) -> None:
    known = frame(said("Hello"))

    assert known.text_bytes(other) is None
    assert known.text_bytes(said("a") + other) is None
    assert known.text_bytes(said("a")) == 1


@pytest.mark.parametrize(
    "lines",
    [b"data: [DONE]\n\n", b'data: {"choices":[]}\n\n', said("x")[:-1], said(""), b"\n\n"],
)
def test_a_frame_is_made_of_one_text(lines: bytes) -> None:
    assert ChunkFrame.of_last(lines) is None


EVENTS = [
    said("one"),
    said('"two"'),
    said("three", padding="aB"),
    said("four").replace(b'"content"', b'"reasoning_content"'),
    said("").replace(b"null}]", b'"stop"}]'),
    said("x").replace(b"null}]", b'"stop"}]'),
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
    said("u").replace(b'"usage":null', b'"usage":{"prompt_tokens":3,"completion_tokens":4}'),
    b'data: {"error":{"message":"no"}}\n\n',
    b'event: error\ndata: {"message":"no"}\n\n',
    said("x").replace(b'"usage":null', b'"error":null'),
    b": ping\n\n",
    b"data: [DONE]\n\n",
]


class CloseReader(ChatStreamReader):
    """The same without frames: it looks closely at everything."""

    def _learn(self, lines: bytes) -> None:
        pass


def seen(reader: ChatStreamReader) -> tuple[object, ...]:
    return (
        reader.usage,
        reader.report,
        reader.is_ended,
        reader.is_complete,
        reader.is_between_events,
        reader.unreported_bytes,
    )


@given(events=st.lists(st.sampled_from(EVENTS), max_size=12), data=st.data(), hides=st.booleans())
def test_a_reader_with_frames_sees_what_a_close_one_sees(
    events: list[bytes], data: st.DataObject, hides: bool
) -> None:
    lines = b"".join(events).splitlines(keepends=True)
    quick, close = ChatStreamReader(hides_usage=hides), CloseReader(hides_usage=hides)
    while lines:
        count = data.draw(st.integers(1, len(lines)))
        read, lines = b"".join(lines[:count]), lines[count:]

        assert quick.read(read) == close.read(read)
        assert seen(quick) == seen(close)


@given(
    begin=st.lists(st.sampled_from(EVENTS), max_size=4),
    end=st.lists(st.sampled_from(EVENTS), max_size=5),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    hides=st.booleans(),
)
def test_a_long_read_is_seen_as_its_events_are(
    begin: list[bytes], end: list[bytes], line_end: bytes, hides: bool
) -> None:
    events = [event.replace(b"\n", line_end) for event in (*begin, *[said("word")] * 30, *end)]
    quick, close = ChatStreamReader(hides_usage=hides), CloseReader(hides_usage=hides)

    shown = quick.read(b"".join(events))

    assert shown == b"".join(close.read(event) for event in events)
    assert seen(quick) == seen(close)
