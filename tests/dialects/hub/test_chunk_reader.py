"""Chunks are read as what they say; texts in a row together, wherever the reads end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.hub.chunk_reader import ChunkReader, Said, Sign, Texts
from nexus_core.dialects.openai_chat.stream import ChatStreamReader
from nexus_core.types import JsonObject


def chunk(delta: JsonObject, **choice: Any) -> bytes:
    fields = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    fields["choices"] = [{"index": 0, "delta": delta, "finish_reason": None, **choice}]
    return b"data: " + json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


def text(piece: str) -> bytes:
    return chunk({"content": piece})


def thought(piece: str) -> bytes:
    return chunk({"reasoning_content": piece})


COMMENT, DONE = b": waiting\n\n", b"data: [DONE]\n\n"
CALL = chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]})
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
EVENTS = st.one_of(
    st.text(max_size=4).map(text),
    st.text(max_size=4).map(thought),
    st.sampled_from(
        [
            text("\n\"}'"),
            COMMENT,
            CALL,
            USAGE,
            chunk({"content": "a"}, logprobs={"content": [1]}),
            chunk({"content": "a"}, index=1),
            chunk({"content": "a", "reasoning_content": "b"}),
            chunk({"role": "assistant", "content": "a"}),
            chunk({}, finish_reason="stop"),
            b"data: {\n\n",
            b"data: 5\n\n",
            b'data: {"choices":[5,{"delta":5}]}\n\n',
            b'data: {"choices":[{"text":"a","index":0}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
        ]
    ),
)


def plainly(said: list[Said]) -> list[object]:
    """The same, each text by itself."""
    found: list[object] = []
    for one in said:
        if isinstance(one, Texts):
            assert "".join(one.decoded()) == one.joined()
            assert one.size == sum(map(len, one.pieces))
            found += [(one.is_thinking, piece) for piece in one.decoded()]
        elif one is Sign.OF_LIFE:
            found.append("sign")
        else:
            found += [told for choice in one if (told := alone(choice))]
    return found


def alone(choice: JsonObject) -> object:
    """A choice that says a text or nothing, as if it had been read with others."""
    delta = choice.get("delta", choice)
    if not isinstance(delta, dict):
        return None
    telling = dict(choice) if delta is choice else {**choice, "delta": None, **delta}
    telling = {name: value for name, value in telling.items() if value and name != "role"}
    for name in ("content", "text", "reasoning_content"):
        if telling.keys() == {name}:
            return (name == "reasoning_content", telling[name])
    return json.dumps(choice) if telling.keys() - {"index"} else None


def read(*pieces: bytes) -> list[Said]:
    reader = ChunkReader()
    return [*(one for piece in pieces for one in reader.read(piece)), *reader.finish()]


@given(st.lists(EVENTS, max_size=12), st.data())
def test_what_is_said_does_not_depend_on_where_reads_end(
    events: list[bytes], data: st.DataObject
) -> None:
    body = b"".join([*events, DONE])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=4)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    one_by_one = [one for event in events for one in read(event)]

    assert plainly(read(body)) == plainly(read(*pieces)) == plainly(one_by_one)


@given(st.lists(EVENTS, max_size=12), st.data())
def test_what_is_said_does_not_depend_on_who_read_it_before(
    events: list[bytes], data: st.DataObject
) -> None:
    body = b"".join([*events, DONE])
    lines = body.splitlines(keepends=True)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=4)))
    pieces = [lines[a:b] for a, b in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    before, reader = ChatStreamReader(), ChunkReader()
    said: list[Said] = []

    for piece in pieces:
        said += reader.read(before.read(b"".join(piece)), before.run)

    assert plainly([*said, *reader.finish()]) == plainly(read(body))


@pytest.mark.parametrize(("event", "is_thinking"), [(text, False), (thought, True)])
def test_texts_in_a_row_come_together(event: Any, is_thinking: bool) -> None:
    said = read(b"".join(map(event, ["One", " two", "", ' "three"', " é"])))

    assert len(said) == 2  # the first one is read by itself
    assert said[1] == Texts(is_thinking, [b" two", b' \\"three\\"', " é".encode()], 17)


def test_what_says_nothing_is_left_out() -> None:
    assert read(USAGE, DONE, b"data: {\n\n") == []
    assert read(COMMENT) == [Sign.OF_LIFE]
    assert plainly(read(CALL)) == [json.dumps(json.loads(CALL[6:])["choices"][0])]
