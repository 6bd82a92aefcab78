"""A stream of lines that passes is read alike wherever it is split."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from nexus_core.dialects.base.stream import OpeningState
from nexus_core.dialects.ollama.reader import LineReader
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import KeyCutter
from nexus_core.providers.passed_stream import PassedStream
from tests.scenarios.ollama_api import STREAM, last, line, piece

USAGE = TokenUsage(prompt_tokens=26, completion_tokens=9)
NO_KEY = KeyCutter(None)


def splits(body: bytes) -> Iterator[list[bytes]]:
    for cut in range(1, len(body)):
        yield [body[:cut], body[cut:]]
    yield [body[at : at + 1] for at in range(len(body))]


def passed(parts: list[bytes], keys: KeyCutter = NO_KEY) -> tuple[bytes, LineReader]:
    """What the client gets of these reads."""
    reader = LineReader(keys.cut_text)
    stream = PassedStream(reader, keys)
    waiting = [*parts]
    while waiting and reader.opening.state in (OpeningState.WAITING, OpeningState.PREFACE):
        reader.opening.feed(waiting.pop(0))
    if not waiting:
        reader.opening.end()
    shown = stream.begin() + b"".join(map(stream.read, waiting)) + stream.finish()
    return shown, reader


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_stream_passes_and_its_counts_are_read(end: bytes) -> None:
    body = b"".join(STREAM).removesuffix(b"\n") + end

    for parts in splits(body):
        shown, reader = passed(parts)

        assert shown == body
        assert reader.opening.state is OpeningState.BEGUN
        assert (reader.is_ended, reader.is_complete, reader.usage) == (True, True, USAGE)
        assert reader.is_between_events is (end == b"\n")
        assert (reader.report, reader.unreported_bytes) == (None, 0)


def test_text_that_no_count_covers_yet_is_measured() -> None:
    _, reader = passed([piece("Hel"), piece("", thinking="hm"), line(response="ab", done=False)])

    assert reader.unreported_bytes == len("Hel" + "hm" + "ab")
    assert not reader.is_complete


@pytest.mark.parametrize(
    ("first", "state"),
    [
        (piece(""), OpeningState.PREFACE),
        (piece("x"), OpeningState.BEGUN),
        (piece("", tool_calls=[{"function": {"name": "f", "arguments": {}}}]), OpeningState.BEGUN),
        (line(response="x", done=False), OpeningState.BEGUN),
        (last(), OpeningState.BEGUN),
        (last("load"), OpeningState.BEGUN),
        (b'{"error":"out of memory"}\n', OpeningState.FAULTY),
        (b"<html>\n", OpeningState.NO_STREAM),
        (b"data: {}\n\n", OpeningState.NO_STREAM),
        (b"\n", OpeningState.WAITING),
        (b"{broken\n", OpeningState.BEGUN),
        (b'{"message":{"content":"' + b"x" * 70_000, OpeningState.BEGUN),
    ],
)
def test_the_first_line_tells_what_the_answer_is(first: bytes, state: OpeningState) -> None:
    for cut in (1, len(first) // 2, len(first) - 1):
        opening = LineReader().opening
        opening.feed(first[:cut])
        opening.feed(first[cut:])

        assert opening.state is state


def test_an_error_without_a_line_end_is_one() -> None:
    opening = LineReader(lambda text: text.replace("KEY", "[key]")).opening
    opening.feed(b'{"error":"bad KEY"}')

    assert opening.state is OpeningState.WAITING
    assert opening.end() is OpeningState.FAULTY
    assert opening.report is not None
    assert opening.report.words == "bad [key]"
    assert opening.reported == '{"error":"bad [key]"}'


def test_an_error_in_mid_stream_is_reported() -> None:
    body = piece("Hel") + b'{"error":"out of memory"}\n'

    for parts in splits(body):
        shown, reader = passed(parts)

        assert shown == body
        assert reader.report is not None
        assert reader.report.words == "out of memory"


def test_words_of_the_model_are_no_marks() -> None:
    said = json.dumps({"done": True, "error": "x", "eval_count": 3})

    _, reader = passed([piece(said), piece(said)])

    assert (reader.is_ended, reader.report, reader.usage) == (False, None, None)


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_last_line_with_a_whole_conversation_as_numbers_is_read(end: bytes) -> None:
    fields = json.loads(last())
    long = json.dumps({"context": [123456] * 40_000, **fields}).encode() + end
    parts = [piece("Hel"), *(long[at : at + 30_000] for at in range(0, len(long), 30_000))]

    shown, reader = passed(parts)

    assert shown == b"".join(parts)
    assert (reader.is_ended, reader.usage) == (True, USAGE)


def test_a_line_beyond_all_limits_passes_unread_and_the_next_is_read() -> None:
    long = b'{"message":{"content":"' + b"x" * 6_000_000 + b'"}}\n'
    parts = [long[at : at + 500_000] for at in range(0, len(long), 500_000)]

    shown, reader = passed([piece("Hel"), *parts, last()])

    assert shown == piece("Hel") + long + last()
    assert (reader.is_ended, reader.usage) == (True, USAGE)


def test_the_key_of_the_backend_is_cut_out() -> None:
    keys = KeyCutter("sk-secret-0123456789")
    body = piece("sk-secret-0123456789") + last()

    for parts in splits(body):
        shown, _ = passed(parts, keys)

        assert b"sk-secret" not in shown
        assert json.loads(shown.split(b"\n")[0])["message"]["content"] == "[key]"
