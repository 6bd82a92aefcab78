"""Chunks that only continue a text: nothing is missed that a close look would find."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.openai_chat.answers import text_length
from nexus_core.dialects.openai_chat.stream import ChatStreamReader
from tests.dialects.stream_state import seen

HEAD: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m"}


def said(text: str, *, padding: str | None = None, indent: str = "") -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    fields = {**HEAD, "choices": [choice], "usage": None}
    if padding is not None:
        fields["obfuscation"] = padding
    separators = (f",{indent}", f":{indent}")
    return f"data: {json.dumps(fields, separators=separators)}\n\n".encode()


class CloseReader(ChatStreamReader):
    """The same without frames: it looks closely at everything."""

    def _learn(self, lines: bytes) -> None:
        pass


def measured(first: bytes, lines: bytes, line_end: bytes = b"\n") -> int:
    """Bytes of text in these lines behind the first, which no close look was taken at."""
    reader = ChatStreamReader()
    first = first.replace(b"\n", line_end)
    reader.read(first)
    reader.read(lines.replace(b"\n", line_end))
    return reader.unreported_bytes - text_length(first)


@pytest.mark.parametrize("indent", ["", " "])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@given(texts=st.lists(st.text() | st.sampled_from(['"', "\\", 'a "b"', '\\\\"', "\n", "é"])))
def test_texts_are_measured(texts: list[str], indent: str, line_end: bytes) -> None:
    lines = b"".join(said(text, indent=indent) for text in texts)

    assert measured(said("Hello", indent=indent), lines, line_end) == text_length(lines)


@given(texts=st.lists(st.text(), min_size=1))
def test_what_is_escaped_around_a_text_is_no_part_of_its_size(texts: list[str]) -> None:
    def named(text: str) -> bytes:
        return said(text).replace(b'"model":"m"', b'"model":"\\u6a21\\u578b\\u7528"')

    together, sizes = b"".join(map(named, texts)), [text_length(said(text)) for text in texts]

    assert measured(named("Hello"), together) == sum(sizes) == text_length(together)
    assert min(sizes) >= 0


def test_padding_of_any_length_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ChatStreamReader()
    reader.read(said("Hello", padding="aB3"))
    monkeypatch.setattr(reader, "_read_closely", None)  # not called

    reader.read(said("you", padding="") + said("two", padding="xyzXYZ0"))

    assert reader.unreported_bytes == 11


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
