"""Events that are alike are translated together: as each by itself, or not at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.hub.answer import AnswerHead, chunk
from nexus_core.dialects.hub.chunk_bytes import TextFrame, encode_chunk
from nexus_core.dialects.hub.text_run import Continued, TextRun

HEAD = AnswerHead("id", "m", 7)
TAIL = b'"counts"'
TEXTS = (
    st.sampled_from(["", "a", '"}', "\\", "\n", "\x7f\u2028", "é 🦊", '"text": "b"']) | st.text()
)


def event(text: str, count: int = 3, *, is_ascii: bool = False, **more: Any) -> bytes:
    fields = {"type": "t", "text": text, "n": 1, "counts": {"a": count, "b": [count]}, **more}
    return b"data: " + json.dumps(fields, ensure_ascii=is_ascii).encode("utf-8", "replace")


def run_like(event: bytes, separator: bytes = b"\n\n") -> TextRun | None:
    return TextRun.like(
        event,
        name=b'"text"',
        tail_at=event.find(TAIL),
        varying=b"0123456789",
        separator=separator,
    )


def stream(*events: bytes) -> bytes:
    return b"".join(event + b"\n\n" for event in events)


def taken_of(run: TextRun, data: bytes, at: int = 0) -> Continued | None:
    """All that are alike from there on: of many fewer may be taken at once."""
    found = run.take(data, at)
    while found is not None and (more := run.take(data, found.end)) is not None:
        for name in ("taken", "text_bytes", "characters", "given_bytes"):
            setattr(found, name, getattr(found, name) + getattr(more, name))
        found.end, found.texts = more.end, found.texts + more.texts
        found.tails += b"\n" + more.tails
    return found


def made_of(*texts: str) -> bytes:
    return b"".join(encode_chunk(chunk(HEAD, {"content": text})) for text in texts if text)


@given(
    said=st.lists(st.tuples(TEXTS, st.integers(0, 10**30)), min_size=1, max_size=6),
    is_ascii=st.booleans(),
)
def test_alike_events_become_the_chunks_of_their_texts(
    said: list[tuple[str, int]], is_ascii: bool
) -> None:
    said = [(text.encode("utf-8", "replace").decode(), count) for text, count in said]
    run = run_like(event("a", 10))
    assert run is not None

    data = stream(*[event(*one, is_ascii=is_ascii) for one in said])
    found = run.take(data, 0)

    assert found is not None
    taken, pieces, tails = found.taken, found.texts, found.tails
    texts = [text for text, _ in said]
    frame = TextFrame.of(chunk(HEAD, {"content": ""}))
    assert (taken, found.end) == (len(said), len(data))
    assert frame is not None
    assert frame.around(pieces) == made_of(*texts)
    assert found.characters == sum(map(len, texts))
    assert found.text_bytes == sum(
        len(made_of(text)) - len(made_of("x")) + 1 for text in texts if text
    )
    assert [json.loads(line)["counts"]["a"] for line in tails.split(b"\n")] == [
        count for _, count in said
    ]


OTHERS = [
    pytest.param(event("b", more=1), id="one field more"),
    pytest.param(event("b").replace(b"counts", b"count"), id="another field"),
    pytest.param(event("b").replace(b'"n": 1', b'"n": 2'), id="another value"),
    pytest.param(event("b").replace(b'"a": 3', b'"a": 3.5'), id="no whole number"),
    pytest.param(event("b").replace(b'"b"', b'b"'), id="no JSON"),
    pytest.param(event("b").replace(b'"b"', b'"b\x01"'), id="a control character"),
    pytest.param(event("b").replace(b'"b"', b'"\\x"'), id="no escape of JSON"),
    pytest.param(event("b").replace(b'"b"', b'"b\\"'), id="a text without end"),
    pytest.param(event("b").replace(b'"b"', b'"\\ud83d"'), id="half a character"),
    pytest.param(event("b").replace(b'"b"', b'"\xc3"'), id="no UTF-8"),
    pytest.param(event("b").replace(b'"b"', b'"b", "text": "c"'), id="two texts"),
    pytest.param(event("b").replace(b"data: ", b"data:"), id="written otherwise"),
    pytest.param(event("b") + b"\r\n: comment", id="a comment behind it"),
    pytest.param(b": comment", id="a comment"),
    pytest.param(b"", id="a blank line"),
]


@pytest.mark.parametrize("other", OTHERS)
def test_anything_else_among_them_ends_what_is_taken(other: bytes) -> None:
    one = event("a")
    run = run_like(one)
    assert run is not None
    taken = run.take(stream(one, one), 0)

    assert taken is not None
    assert (taken.taken, taken.texts, taken.end) == (2, [b"a", b"a"], len(stream(one, one)))
    for separator in (b"\n\n", b"\r\n\r\n", b"\n", b""):
        assert taken_of(run, stream(one, one) + other + separator) == taken
    others = stream(other if other.startswith((b"data: ", b": ")) else b": comment")
    assert taken_of(run, stream(one, one) + others + stream(one, one)) == taken
    for events in ([other], [other, one], [other, one, other]):
        assert run.take(stream(*events), 0) is None
    before = stream(other)
    found = taken_of(run, before + stream(one, one, other, *[one] * 20), len(before))
    assert found is not None
    assert (found.taken, found.end) == (2, len(before) + taken.end)


@given(texts=st.lists(TEXTS, min_size=1, max_size=200), others=st.integers(0, 6))
def test_many_that_differ_in_nothing_but_their_text_are_taken_up_to_the_first_other(
    texts: list[str], others: int
) -> None:
    run = run_like(event("a"))
    assert run is not None
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    alike = stream(*map(event, texts))

    found = taken_of(run, alike + stream(*[event("b", more=1)] * others))

    assert found is not None
    assert (found.taken, found.end) == (len(texts), len(alike))
    assert found.texts == [msgspec.json.encode(text)[1:-1] for text in texts if text]


def test_two_halves_of_a_character_are_not_one() -> None:
    one, other = (event("b").replace(b'"b"', b'"' + half + b'"') for half in (b"\xc3", b"\xa9"))
    run = run_like(event("a"))
    assert run is not None

    assert run.take(stream(one, other), 0) is None


def test_what_one_reader_found_is_given_to_another_once() -> None:
    run, same = run_like(event("a")), run_like(event("b", 4))
    others = [run_like(event("a", more=1)), run_like(event("a"), b"\r\n\r\n")]
    data = stream(event("one"), event("two"))
    assert run is not None
    assert same is not None

    assert [other is not None and run.shared_by(other) for other in [*others, same]] == [
        False,
        False,
        True,
    ]
    found = run.take(data, 0)

    assert run.take_again(data, 0) is found
    again = run.take_again(data, 0)
    assert again is not found
    assert again == found
    run.take(data, 0)
    second = run.take_again(data, len(data) // 2)
    assert second is not None
    assert second.texts == [b"two"]


@pytest.mark.parametrize("count", [b"3.5", b"3"])
def test_events_that_only_look_alike_do_not_cost_those_behind_them_again_and_again(
    count: bytes,
) -> None:
    one, other = event("a"), event("b", more=1) if count == b"3" else event("b")
    other = other.replace(b'"a": 3', b'"a": ' + count)
    run = run_like(one)
    assert run is not None
    looked = 0

    class Counted(bytes):
        def __getitem__(self, key: Any) -> Any:
            nonlocal looked
            found = super().__getitem__(key)
            looked += len(found)
            return found

    data, at = Counted(stream(one, other) * 500), 0
    for _ in range(500):
        found = run.take(data, at)
        assert found is not None
        assert found.taken == 1
        assert run.take(data, found.end) is None
        at = found.end + len(stream(other))

    assert looked < 40 * len(data)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(event("a", more={"text": "b"}), id="two texts"),
        pytest.param(event("a").replace(b'"text": "a"', b'"t\\u0065xt": "a"'), id="no name"),
        pytest.param(event("a").replace(b'"n"', b'"\\n"'), id="escapes around the text"),
        pytest.param(event("a").replace(b'"a"', b"5"), id="no text"),
    ],
)
def test_an_event_whose_parts_are_not_plain_begins_no_run(odd: bytes) -> None:
    assert run_like(event("a")) is not None
    assert run_like(odd) is None


def test_random_letters_behind_a_text_are_no_difference() -> None:
    def padded(text: str, padding: str) -> bytes:
        return b"data: " + json.dumps({"content": text, "obfuscation": padding}).encode()

    run = TextRun.of_chunk(padded("a", "xY1"), name=b'"content"', separator=b"\n\n")
    assert run is not None
    others = (b'", "b": "c', b'", "usage": {', b" ", b'\\"')

    found = run.take(stream(padded("one", ""), padded("two", "Zz9")), 0)

    assert found is not None
    assert (found.texts, found.text_bytes, found.given_bytes) == ([b"one", b"two"], 6, 6)
    for other in others:
        one = padded("one", "a").replace(b'"a"', b'"a' + other + b'"')
        assert run.take(stream(one), 0) is None
