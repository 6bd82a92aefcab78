"""How a stream begins: content, somebody who has said nothing yet, an error, or no stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.base.stream import OpeningState
from nexus_core.dialects.openai_chat.failures import weigh_event
from nexus_core.dialects.opening import StreamOpening
from nexus_core.dialects.sse import EventSplitter, Shape
from tests.proxy.fakes import split_at


def chunk(delta: dict[str, Any], end: str | None = None, **more: Any) -> bytes:
    fields = {"choices": [{"index": 0, "delta": delta, "finish_reason": end}], **more}
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


ROLE = chunk({"role": "assistant", "content": ""})
TEXT = chunk({"content": "x"})
DONE = b"data: [DONE]\n\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
COMMENT = b": OPENROUTER PROCESSING\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}\n\n'
ERROR = b'data: {"error": {"message": "limit", "code": 429}, "user_id": "u"}\n\n'

WAITING, PREFACE, BEGUN = OpeningState.WAITING, OpeningState.PREFACE, OpeningState.BEGUN
FAULTY, WHOLE, NO_STREAM = OpeningState.FAULTY, OpeningState.WHOLE, OpeningState.NO_STREAM

BEGINNINGS: dict[str, tuple[bytes, OpeningState]] = {
    "nothing": (b"", WAITING),
    "blank lines": (b"\n\r\n\n", WAITING),
    "comments": (COMMENT * 3, WAITING),
    "pings": (PING + COMMENT + b'data: {"type":"ping"}\n\n', WAITING),
    "empty data": (b"data:\n\ndata: \n\n", WAITING),
    "empty objects": (b"data: {}\n\ndata: null\n\n", WAITING),
    "a role": (COMMENT + ROLE, PREFACE),
    "nulls": (chunk({"content": None, "tool_calls": None}, ""), PREFACE),
    "azure's filter": (b'data: {"choices":[],"prompt_filter_results":[{"x":1}]}\n\n', PREFACE),
    "a usage": (USAGE, PREFACE),
    "text": (ROLE + TEXT, BEGUN),
    "crlf": (TEXT.replace(b"\n", b"\r\n"), BEGUN),
    "cr": (TEXT.replace(b"\n", b"\r"), BEGUN),
    "a byte order mark": (b"\xef\xbb\xbf" + COMMENT + TEXT, BEGUN),
    "blank lines before": (b"\r\n\n" + TEXT, BEGUN),
    "an event's name first": (b"event: message\nid: 1\n" + TEXT, BEGUN),
    "several data lines": (b'data: {"choices":\ndata: [{"delta":{"content":"x"}}]}\n\n', BEGUN),
    "a call": (chunk({"tool_calls": [{"index": 0}]}), BEGUN),
    "reasoning": (chunk({"reasoning_content": "hm"}), BEGUN),
    "a refusal": (chunk({"refusal": "no"}), BEGUN),
    "audio": (chunk({"audio": {"id": "a"}}), BEGUN),
    "an end without text": (ROLE + chunk({}, "stop"), BEGUN),
    "a text completion": (b'data: {"choices":[{"text":"x"}]}\n\n', BEGUN),
    "a whole message in a chunk": (b'data: {"choices":[{"message":{"content":"x"}}]}\n\n', BEGUN),
    "another format": (b'data: {"type":"response.output_text.delta","delta":"x"}\n\n', BEGUN),
    "no json": (b"data: hello\n\n", BEGUN),
    "an empty answer": (ROLE + DONE, BEGUN),
    "an end alone": (DONE, FAULTY),
    "a usage and the end": (USAGE + DONE, FAULTY),
    "a usage around a role": (USAGE + ROLE + USAGE + DONE, BEGUN),
    "an error": (COMMENT + ERROR, FAULTY),
    "an error after the role": (ROLE + ERROR, FAULTY),
    "an error after a usage": (USAGE + ERROR, FAULTY),
    "an error event": (b'event: error\ndata: {"message": "no"}\n\n', FAULTY),
    "an error event of text": (b'event: error\ndata: "no"\n\n', FAULTY),
    "vllm": (b'data: {"object":"error","message":"no","code":400}\n\n', FAULTY),
    "an error in text": (b'data: {"error":"no such model"}\n\n', FAULTY),
    "openrouter's end": (chunk({"content": ""}, "error", error={"message": "no"}), FAULTY),
    "json": (b' \n{"choices": []}', WHOLE),
    "an array": (b"[1]", WHOLE),
    "html": (b"<!doctype html>", NO_STREAM),
    "words": (b"database is down", NO_STREAM),
}


@pytest.mark.parametrize(("data", "state"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_beginning_stands_somewhere_wherever_it_is_split(
    data: bytes, state: OpeningState
) -> None:
    for position in range(len(data) + 1):
        opening = StreamOpening(weigh_event)
        for part in split_at(data, position):
            opening.feed(part)

        assert opening.state is state, position
        assert opening.held == data


@given(
    st.lists(st.sampled_from((COMMENT, PING, ROLE, TEXT, ERROR, DONE, USAGE, b"\n")), max_size=8),
    st.sampled_from((b"\n", b"\r\n", b"\r")),
    st.lists(st.integers(0, 600), max_size=6),
    st.booleans(),
)
def test_the_verdict_does_not_hang_on_the_chunks(
    events: list[bytes], line_end: bytes, cuts: list[int], ends: bool
) -> None:
    data = b"".join(events).replace(b"\n", line_end)
    whole, split = StreamOpening(weigh_event), StreamOpening(weigh_event)

    whole.feed(data)
    for part in split_at(data, *(min(cut, len(data)) for cut in cuts)):
        split.feed(part)
    if ends:
        whole.end()
        split.end()

    assert (split.state, split.shape, split.report) == (whole.state, whole.shape, whole.report)
    telling = next((event for event in events if event in (TEXT, ERROR, DONE)), None)
    # Content in the first place that tells anything, unless the end comes before anything else.
    if telling == TEXT:
        assert whole.state is BEGUN
    elif telling == ERROR:
        assert whole.state is FAULTY


def test_the_error_is_told_with_its_words_and_its_bytes() -> None:
    opening = StreamOpening(weigh_event, lambda text: text.replace("sk-1", "[key]"))

    opening.feed(ERROR.replace(b"limit", b"limit of sk-1"))

    assert opening.report == ErrorReport("limit of [key]", "429", 429)
    assert json.loads(opening.reported)["error"]["message"] == "limit of [key]"


def test_an_error_that_lacks_its_blank_line_counts_at_the_end() -> None:
    opening = StreamOpening(weigh_event)
    opening.feed(ERROR.rstrip())
    assert opening.state is WAITING

    assert opening.end() is FAULTY


def test_a_long_line_is_content_and_a_long_comment_is_not() -> None:
    picture, comment = StreamOpening(weigh_event), StreamOpening(weigh_event)

    picture.feed(b'data: {"choices":[{"delta":{"audio":"' + b"x" * 100_000)
    comment.feed(b": " + b"x" * 100_000)

    assert (picture.state, comment.state) == (BEGUN, WAITING)


def test_what_does_not_end_is_gone_through_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces: list[bytes] = []
    feed = EventSplitter.feed

    def counted(splitter: EventSplitter, piece: bytes) -> list[bytes]:
        pieces.append(piece)
        return feed(splitter, piece)

    monkeypatch.setattr(EventSplitter, "feed", counted)
    comment = b": " + b"x" * 1_000_000

    assert StreamOpening(weigh_event).feed(comment) is OpeningState.WAITING
    assert b"".join(pieces) == comment
    assert len(pieces) <= 10


def test_blank_bytes_do_not_go_on_for_ever() -> None:
    opening = StreamOpening(weigh_event)

    opening.feed(b"\n" * 10_000)

    assert (opening.state, opening.shape) == (NO_STREAM, Shape.OTHER)
