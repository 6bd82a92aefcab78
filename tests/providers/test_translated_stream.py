"""Translated streams: the bytes are those that the translators make of each event, one by one."""

from __future__ import annotations

import gc
import itertools
import json
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_core.dialects.anthropic.stream import AnthropicStream
from nexus_core.dialects.base.stream import OpeningState
from nexus_core.dialects.gemini import GoogleStream, stream_failure
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import DONE, SseParser, encode_event
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import KeyCutter, ReportedError
from nexus_core.providers.translated_stream import StreamTranslator, TranslatedStream
from nexus_core.types import JsonObject, JsonValue
from nexus_core.upstream.base import UpstreamError, UpstreamProtocolError
from tests.dialects.anthropic.test_properties import mutated

DATA = Path(__file__).parents[1] / "data"
FILES = sorted([*(DATA / "anthropic").glob("*.sse"), *(DATA / "google").glob("*.sse")])
SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck))
KEY = "sk-secret-0123456789"


class Answers:
    """An answer of one of the two, which is a stream."""

    def __init__(self, vendor: str) -> None:
        self.vendor = vendor
        self.ends_at_completion = vendor == "anthropic"
        self.counts_unended_event = vendor == "google"

    def stream(self) -> StreamTranslator:
        kind = AnthropicStream if self.vendor == "anthropic" else GoogleStream
        return kind(model="m", created=1, include_usage=True)

    def reported(self, answer: JsonValue) -> StreamFailedError | None:
        return stream_failure(answer)

    def whole(self, answer: JsonObject) -> JsonObject:
        raise AssertionError("not of a stream")

    def usage(self, answer: JsonObject) -> TokenUsage | None:
        raise AssertionError("not of a stream")

    def error(self, status: int, body: bytes) -> tuple[int, JsonObject, float | None]:
        raise AssertionError("not of a stream")


def slowly(vendor: str, body: bytes) -> tuple[bytes, str]:
    """What the translator makes of it, event by event; and how it ended."""
    answers = Answers(vendor)
    stream, parser, made = answers.stream(), SseParser(), b""
    try:
        events = [*parser.feed(body)]
        for event in events if answers.ends_at_completion else [*events, *parser.finish()]:
            made += b"".join(map(encode_event, stream.feed(event)))
            if answers.ends_at_completion and stream.is_complete:
                break
    except StreamFailedError as error:
        return made, f"{error.message} ({error.type})"
    except ValueError as error:
        return made, f"stream can't be translated: {error}"
    if not stream.is_complete:
        return made, "cut"
    return made + b"".join(map(encode_event, stream.finish())) + DONE, "whole"


def passed(vendor: str, *pieces: bytes, key: str | None = None) -> tuple[bytes, str]:
    """The same as it is passed on."""
    stream = TranslatedStream(Answers(vendor), KeyCutter(key), 1024 * 1024)
    made = b""
    stream._shape = stream._shape.EVENTS  # as after the first bytes of a stream
    for piece in pieces:
        made += stream.read(piece)
        if stream.failure is not None or stream.is_over:
            break
    made += stream.finish()
    if stream.failure is not None:
        return made, str(stream.failure)
    return made, "whole" if stream.is_complete else "cut"


def in_pieces(body: bytes, borders: list[int]) -> list[bytes]:
    at = [0, *sorted(min(border, len(body)) for border in borders), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(at)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_becomes_the_same_bytes_wherever_it_is_split(file: Path, line_end: bytes) -> None:
    vendor, body = file.parent.name, file.read_bytes().replace(b"\n", line_end)
    expected = slowly(vendor, body)

    assert passed(vendor, body) == expected
    assert passed(vendor, *(body[at : at + 7] for at in range(0, len(body), 7))) == expected
    for at in range(0, len(body), 13):
        assert passed(vendor, body[:at], body[at:]) == expected


TEXTS = (
    st.sampled_from(["", "a", '"', "\\", "\n\n", "data: x", "é 🦊", "\x00\x7f\u2028"]) | st.text()
)


@st.composite
def anthropic_events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A message with some blocks, and now and then something that is wrong."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 3}}}
    ]
    for index in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["text", "tool_use", "thinking"]))
        block = {"type": kind, "text": "", "id": "t", "name": "f", "input": {}, "thinking": ""}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        for text in draw(st.lists(TEXTS, max_size=4)):
            name = draw(st.sampled_from(["text_delta", "input_json_delta", "thinking_delta"]))
            delta = {"type": name, "text": text, "partial_json": text, "thinking": text}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    usage = {"output_tokens": draw(st.integers(0, 9))}
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})
    events.append({"type": "message_stop"})
    return events


@st.composite
def google_events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some pieces of text and thought of some candidates."""
    events: list[dict[str, Any]] = []
    for text in draw(st.lists(TEXTS, max_size=6)):
        part: dict[str, Any] = {"text": text}
        if draw(st.integers(0, 3)) == 0:
            part["thought"] = draw(st.booleans())
        if draw(st.integers(0, 5)) == 0:
            part |= {"thoughtSignature": "c2ln"}
        index = draw(st.sampled_from([0, 0, 0, 1]))
        candidate = {"content": {"role": "model", "parts": [part]}, "index": index}
        counts = {"promptTokenCount": 3, "candidatesTokenCount": draw(st.integers(0, 999))}
        events.append({"candidates": [candidate], "usageMetadata": counts, "responseId": "r"})
    ends = {"candidates": [{"finishReason": "STOP", "index": index} for index in (0, 1)]}
    return [*events, ends]


@SLOW
@given(data=st.data(), vendor=st.sampled_from(["anthropic", "google"]))
def test_any_stream_becomes_what_its_translator_makes_of_each_event(
    data: st.DataObject, vendor: str
) -> None:
    events = data.draw(anthropic_events() if vendor == "anthropic" else google_events())
    events = [
        data.draw(mutated(event)) if data.draw(st.integers(0, 9)) == 0 else event
        for event in events
    ]
    is_plain = data.draw(st.booleans())
    line_end = data.draw(st.sampled_from(["\n", "\r\n"]))
    body = "".join(
        (f"event: {event['type']}{line_end}" if isinstance(event, dict) and "type" in event else "")
        + f"data: {json.dumps(event, ensure_ascii=is_plain)}{line_end}{line_end}"
        for event in events
    ).encode("utf-8", "replace")
    borders = data.draw(st.lists(st.integers(0, len(body)), max_size=5))

    assert passed(vendor, *in_pieces(body, borders)) == slowly(vendor, body)


def delta(text: str, blanks: str = "") -> bytes:
    """An event of a text, with blanks behind it, as Anthropic writes it."""
    change = json.dumps({"type": "text_delta", "text": text}, separators=(",", ":"))
    event = f'{{"type":"content_block_delta","index":0,"delta":{change}{blanks}}}'
    return f"event: content_block_delta\ndata: {event}\n\n".encode()


def piece(text: str, tokens: int, **more: object) -> bytes:
    """An event of a text, with the tokens so far, as Google writes it."""
    candidate = {"content": {"parts": [{"text": text, **more}], "role": "model"}, "index": 0}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": tokens}
    event = json.dumps({"candidates": [candidate], "usageMetadata": counts, "responseId": "r1"})
    return f"data: {event}\r\n\r\n".encode()


def texts(vendor: str) -> bytes:
    """The beginning of a stream: texts with whatever a text may hold."""
    said = ["Hello", " there", 'a "b"', "\n\n", "{\\}", '"}]}', "é 🦊", "", "end"] * 3
    if vendor == "google":
        return b"".join(piece(text, 8 * at) for at, text in enumerate(said))
    start = (DATA / "anthropic" / "text.sse").read_bytes().partition(b"event: content_block_d")[0]
    return start + b"".join(delta(text, " " * (at % 5)) for at, text in enumerate(said))


@pytest.mark.parametrize("vendor", ["anthropic", "google"])
def test_events_of_one_read_that_continue_a_text_are_translated_together(
    vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = texts(vendor)
    expected, _ = slowly(vendor, body)
    half = body.index(b"there")
    begins = body.rindex(b"\n\n" if vendor == "anthropic" else b"\r\n\r\n", 0, half)
    begins += 2 if vendor == "anthropic" else 4
    stream = TranslatedStream(Answers(vendor), KeyCutter(None), 1024)
    stream.feed(body[:begins])
    made = stream.begin()
    fed: list[object] = []
    kind = AnthropicStream if vendor == "anthropic" else GoogleStream
    monkeypatch.setattr(kind, "feed", lambda _, event: fed.append(event))

    made += stream.read(body[begins:])

    assert made == expected
    assert fed == []
    if vendor == "google":
        assert stream.usage is not None
        assert stream.usage.completion_tokens == 8 * 26


@pytest.mark.parametrize("vendor", ["anthropic", "google"])
def test_texts_become_the_same_bytes_wherever_they_are_split(vendor: str) -> None:
    body = texts(vendor)
    expected = slowly(vendor, body)

    for at in range(len(body)):
        assert passed(vendor, body[:at], body[at:]) == expected


BROKEN = [
    pytest.param("google", piece("b", 5).replace(b"5}", b"}"), id="no number"),
    pytest.param("google", piece("b", 5).replace(b"5}", b"05}"), id="no number of JSON"),
    pytest.param("google", piece("b", 5).replace(b"5}", b"5 5}"), id="two numbers"),
    pytest.param("google", piece("b", 5).replace(b'"b"', b'"b\x01"'), id="control character"),
    pytest.param("google", piece("b", 5).replace(b'"b"', b'"\\x"'), id="no escape"),
    pytest.param("google", piece("b", 5).replace(b'"b"', b"b"), id="no text"),
    pytest.param("anthropic", delta("b").replace(b'"b"', b'"b\x01"'), id="control character"),
    pytest.param("anthropic", delta("b").replace(b'"}}', b'"} x }'), id="no JSON"),
    pytest.param("anthropic", delta("b").replace(b'x":0', b'x":1'), id="no such block"),
]


@pytest.mark.parametrize(("vendor", "broken"), BROKEN)
def test_an_invalid_event_among_texts_ends_the_stream_behind_those_before(
    vendor: str, broken: bytes
) -> None:
    before = texts(vendor)
    body = before + broken + (piece("c", 300) if vendor == "google" else delta("c"))
    expected = slowly(vendor, body)

    assert "can't be translated" in expected[1]
    assert passed(vendor, body) == expected
    for at in (before.index(b"data: ", 500), len(before), len(before + broken)):
        assert passed(vendor, body[:at], body[at:]) == expected


def test_candidates_that_take_turns_are_kept_apart() -> None:
    one = [piece(str(number), number) for number in range(8)]
    other = [event.replace(b'"index": 0', b'"index": 1') for event in one]
    thought = [piece(str(number), number, thought=True) for number in range(8)]
    body = b"".join(itertools.chain(*zip(one, other, thought, strict=True)))
    expected = slowly("google", body)

    assert passed("google", body) == expected
    assert passed("google", *(body[at : at + 50] for at in range(0, len(body), 50))) == expected


def test_the_answer_begins_with_the_first_content() -> None:
    body = (DATA / "anthropic" / "text.sse").read_bytes()
    stream = TranslatedStream(Answers("anthropic"), KeyCutter(None), 1024)
    start, block, ping, delta, *_ = body.split(b"\n\n")

    assert stream.opening.feed(start + b"\n\n") is OpeningState.PREFACE
    assert stream.opening.feed(block + b"\n\n") is OpeningState.PREFACE
    assert stream.opening.feed(ping + b"\n\n") is OpeningState.PREFACE
    assert stream.opening.feed(delta + b"\n\n") is OpeningState.BEGUN
    assert stream.begin().count(b"data: ") == 2
    assert stream.begin() == b""


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "without a stream"),
        (b'{"choices": []}', "without a stream"),
        (b"", "end marker"),
        (b'data: {"type": "ping"}\n\n', "end marker"),
    ],
)
def test_what_is_no_stream_is_refused(body: bytes, why: str) -> None:
    stream = TranslatedStream(Answers("anthropic"), KeyCutter(None), 1024)

    with pytest.raises(UpstreamProtocolError, match=why):
        opened(stream, body)


def test_an_error_in_place_of_a_stream_is_reported() -> None:
    body = json.dumps({"error": {"code": 429, "message": "slow down", "status": "BUSY"}}).encode()
    stream = TranslatedStream(Answers("google"), KeyCutter(None), 1024)

    with pytest.raises(ReportedError, match="slow down") as raised:
        opened(stream, body)

    assert raised.value.status == 429


def opened(stream: TranslatedStream, body: bytes) -> None:
    """Feed it, one byte after the other."""
    for at in range(len(body)):
        stream.opening.feed(body[at : at + 1])
    stream.opening.end()


def test_a_body_of_json_without_end_is_not_collected() -> None:
    stream = TranslatedStream(Answers("google"), KeyCutter(None), 1024)

    stream.opening.feed(b"[" * 1000)

    with pytest.raises(UpstreamProtocolError):
        stream.opening.feed(b"[" * 1000)


def test_the_key_is_cut_out_of_what_a_model_says() -> None:
    body = (
        (DATA / "anthropic" / "text.sse")
        .read_bytes()
        .replace(b'"text":"', f'"text":"{KEY}'.encode())
    )

    made, end = passed("anthropic", body, key=KEY)

    assert end == "whole"
    assert KEY.encode() not in made
    assert b"[key]" in made


@pytest.mark.parametrize("vendor", ["anthropic", "google"])
def test_text_counts_until_a_later_usage_covers_it(vendor: str) -> None:
    """A stream that breaks off is billed by what came of it."""
    body = (DATA / vendor / "text.sse").read_bytes().replace(b"\r\n", b"\n")
    stream = TranslatedStream(Answers(vendor), KeyCutter(None), 1024)
    counted = []
    for event in body.split(b"\n\n"):
        stream.opening.feed(event + b"\n\n")
        counted.append(stream.unreported_bytes)
    stream.finish()

    assert max(counted) > 0
    assert stream.usage is not None
    assert stream.unreported_bytes == 0


def test_what_was_made_before_a_failure_is_passed_on_before_it() -> None:
    body = (DATA / "anthropic" / "error_midstream.sse").read_bytes()
    stream = TranslatedStream(Answers("anthropic"), KeyCutter(None), 1024)
    first, _, rest = body.partition(b"content_block_delta")
    stream.opening.feed(first)
    began = stream.begin()

    made = stream.read(b"content_block_delta" + rest)

    assert began
    assert made
    assert isinstance(stream.failure, UpstreamError)
    assert stream.finish() == b""


@pytest.mark.parametrize("vendor", ["anthropic", "google"])
def test_a_stream_leaves_with_its_last_reader_and_is_nothing_to_collect(vendor: str) -> None:
    stream = TranslatedStream(Answers(vendor), KeyCutter(None), 1024)
    stream.feed(b"event: ping\ndata: {}\n\n" if vendor == "anthropic" else b": comment\n\n")
    seen = weakref.ref(stream)
    gc.disable()
    try:
        del stream
        assert seen() is None
    finally:
        gc.enable()
