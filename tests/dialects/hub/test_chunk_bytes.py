"""Chunks as bytes: the same as the careful encoder's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.hub.answer import AnswerHead, chunk, tool_call_arguments
from nexus_core.dialects.hub.chunk_bytes import TextFrame, encode_chunk, rewrite_texts
from nexus_core.dialects.sse import encode_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DELTAS: list[Any] = [
    lambda text: {"content": text},
    lambda text: {"reasoning_content": text},
    lambda text: {"tool_calls": [tool_call_arguments(3, text)]},
]


@given(st.dictionaries(st.text(), JSON))
def test_a_chunk_is_encoded_as_carefully(fields: dict[str, Any]) -> None:
    assert encode_chunk(fields) == encode_event(fields)


def test_a_lone_surrogate_is_escaped() -> None:
    assert encode_chunk({"a": "\ud83d"}) == b'data: {"a":"\\ud83d"}\n\n'


@pytest.mark.parametrize("delta", DELTAS)
@given(texts=st.lists(st.text(), min_size=1, max_size=4), head=st.tuples(st.text(), st.text()))
def test_a_frame_around_texts_is_the_chunks_with_them(
    delta: Any, texts: list[str], head: tuple[str, str]
) -> None:
    of = AnswerHead(*head, created=7)
    frame = TextFrame.of(chunk(of, delta("")))
    assert frame is not None

    made = frame.around([json.dumps(text, ensure_ascii=False).encode()[1:-1] for text in texts])

    assert made == b"".join(encode_event(chunk(of, delta(text))) for text in texts)


@given(texts=st.lists(st.text(), min_size=1, max_size=4), is_ascii=st.booleans())
def test_texts_are_rewritten_as_chunks_have_them(texts: list[str], is_ascii: bool) -> None:
    written = [json.dumps(text, ensure_ascii=is_ascii).encode()[1:-1] for text in texts]

    rewritten, size, characters = rewrite_texts(written)

    assert rewritten == [encode_chunk({"": text})[11:-4] for text in texts]
    assert size == sum(map(len, rewritten))
    assert characters == sum(map(len, texts))


@pytest.mark.parametrize("odd", [b'"', b"\\", b"\\x", b"\n", b"\xff", b"\\ud83d"])
def test_what_is_no_text_of_json_is_not_rewritten(odd: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        rewrite_texts([b"a", odd, b"b"])


def test_a_frame_is_not_made_of_what_is_written_otherwise() -> None:
    assert TextFrame.of(chunk(AnswerHead("\ud83d", "m", 7), {"content": ""})) is None
