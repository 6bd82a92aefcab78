"""Streams that pass: nothing is missed that a look at every line would find."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.anthropic.inbound.reader import MessageStreamReader
from nexus_core.dialects.gemini.inbound.reader import GeminiStreamReader
from nexus_core.dialects.openai_responses.reader import ResponseStreamReader
from nexus_core.dialects.reading.streams import TextSize, lines_with, telling_lines
from tests.dialects.stream_state import seen

PIECES = st.sampled_from(
    [
        *(b'"text"', b'"text":"', b'"text": "', b'"text" :\n"', b'"', b"\\", b'\\"', b"\\u00e9"),
        *(b"a", "é".encode(), b",", b":", b"{", b"}", b" ", b"\n", b"\r", b"data: ", b"text"),
    ]
)
BYTES = st.lists(PIECES, max_size=20).map(b"".join)


@given(BYTES, st.sampled_from([(b'"text"',), (b"a", b"data: "), (b'"',)]))
def test_lines_with_a_mark_are_found_in_order(data: bytes, marks: tuple[bytes, ...]) -> None:
    lines = [line for line in data.splitlines() if any(mark in line for mark in marks)]

    assert lines_with(marks, data) == lines


# --- sizes ----------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5000), max_size=12))
def test_a_size_is_the_sum_of_all_reads_whenever_it_is_asked_for(sizes: list[int]) -> None:
    late, often = TextSize(len), TextSize(len)
    for number, size in enumerate(sizes, 1):
        late.add(b"x" * size)
        often.add(b"x" * size)
        assert often.bytes == sum(sizes[:number])
    assert late.bytes == sum(sizes)
    late.clear()
    assert late.bytes == 0


def test_few_bytes_are_held() -> None:
    counted: list[int] = []

    def count(lines: bytes) -> int:
        counted.append(len(lines))
        return 1

    size = TextSize(count)
    for _ in range(100):
        size.add(b"x" * 1000)

    assert sum(counted) > 80_000
    assert max(counted) < 20_000


def test_what_needs_no_size_is_not_counted() -> None:
    def count(lines: bytes) -> int:
        raise AssertionError

    size = TextSize(count)
    size.add(b"x" * 1000)
    size.clear()

    assert size.bytes == 0


# --- events ---------------------------------------------------------------------------------------


def named(kind: str, *, space: str = " ", name: str | None = None, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(f",{space}", f":{space}"))
    return f"event: {kind if name is None else name}\ndata: {data}\n\n".encode()


USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
MESSAGES = [
    named("message_start", message={"usage": {"input_tokens": 3, "output_tokens": 1}}),
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    named("ping"),
    named("content_block_delta", index=0, delta={"type": "text_delta", "text": '"error" \n'}),
    named("content_block_delta", space="", index=1, delta={"type": "text_delta", "text": "é"}),
    named("content_block_stop", index=0),
    named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 4}),
    named("message_delta", delta={"stop_reason": "end_turn"}),
    named("message_stop"),
    named("error", error={"type": "overloaded_error", "message": "no"}),
    named("error", name="content_block_delta", error={"type": "api_error", "message": "no"}),
    b": ping\n\n",
]
RESPONSES = [
    named("response.created", response={"usage": None}),
    named("response.output_text.delta", sequence_number=4, delta='"error" \n'),
    named("response.output_text.delta", space="", sequence_number=4, delta="é"),
    named("response.function_call_arguments.delta", sequence_number=5, delta='{"a":'),
    named("response.output_text.done", text="a b"),
    named("response.completed", response={"status": "completed", "usage": USAGE}),
    named("response.incomplete", name="response.output_text.delta", response={"usage": USAGE}),
    named("response.failed", response={"error": {"code": "server_error", "message": "no"}}),
    named("error", message="no"),
    b": ping\n\n",
]
COUNTS = {"promptTokenCount": 3, "candidatesTokenCount": 1}
ENDED = {"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}


def chunk(text: str, **more: Any) -> bytes:
    candidate = {"content": {"parts": [{"text": text}]}}
    return f"data: {json.dumps({'candidates': [candidate], **more})}\r\n\r\n".encode()


GEMINI = [
    chunk("one", usageMetadata=COUNTS),
    chunk('"error" \n', usageMetadata={**COUNTS, "candidatesTokenCount": 20}),
    chunk("x", usageMetadata={"candidatesTokenCount": 30}),
    chunk("y", usageMetadata={"promptTokenCount": 5, "thoughtsTokenCount": 6}),
    chunk("no counts"),
    chunk("", promptFeedback={"blockReason": "SAFETY"}),
    f"data: {json.dumps({'candidates': [ENDED], 'usageMetadata': COUNTS})}\r\n\r\n".encode(),
    b'data: {"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}}\r\n\r\n',
]

Reader = type[MessageStreamReader] | type[ResponseStreamReader] | type[GeminiStreamReader]


@pytest.mark.parametrize(
    ("make", "events"),
    [(MessageStreamReader, MESSAGES), (ResponseStreamReader, RESPONSES)],
    ids=["messages", "responses"],
)
@given(data=st.data())
def test_a_long_read_is_seen_as_its_lines_are(
    make: Reader, events: list[bytes], data: st.DataObject
) -> None:
    """A row of deltas in a long read is not searched."""
    some = st.lists(st.sampled_from(events), max_size=5)
    delta = data.draw(st.sampled_from([event for event in events if b"delta" in event[:60]]))
    lines = b"".join(data.draw(some)) + 40 * delta + b"".join(data.draw(some))
    if data.draw(st.booleans()):
        lines = lines[: lines.rfind(b"\n", 0, -1) + 1]  # the last event lacks its end
    quick, close = make(), make()

    assert quick.read(lines) == lines
    for line in lines.splitlines(keepends=True):
        close.read(line)

    assert len(lines) > 2048
    assert seen(quick) == seen(close)


@given(st.lists(st.sampled_from(GEMINI), max_size=12), st.data())
def test_counts_are_kept_however_the_stream_is_cut(
    events: list[bytes], data: st.DataObject
) -> None:
    whole, often = GeminiStreamReader(), GeminiStreamReader()
    for event in events:
        whole.read(event)
        often.read(event)
        if data.draw(st.booleans()):
            _ = often.usage

    assert seen(whole) == seen(often)


@pytest.mark.parametrize("others", [b"", MESSAGES[8], MESSAGES[10], b"data: {}\n\n", b"\n"])
def test_only_a_row_of_deltas_is_not_searched(others: bytes) -> None:
    row = 40 * MESSAGES[3]
    marks = (b'"message_', b'"error"')
    lines = row + others + row

    found = telling_lines(marks, lines, b"content_block_delta")

    assert found == lines_with(marks, lines)
