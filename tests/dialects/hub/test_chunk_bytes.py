"""Chunks as bytes: the same as the careful encoder's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.hub.answer import AnswerHead, chunk, tool_call_arguments
from nexus_core.dialects.hub.chunk_bytes import TextFrame, encode_chunk
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
@given(text=st.text(), head=st.tuples(st.text(), st.text()))
def test_a_frame_around_a_text_is_the_chunk_with_it(
    delta: Any, text: str, head: tuple[str, str]
) -> None:
    of = AnswerHead(*head, created=7)

    frame = TextFrame.of(chunk(of, delta("")))

    assert frame is not None
    made = frame.around(text)
    assert made == encode_event(chunk(of, delta(text)))
    assert len(made) == frame.size + len(encode_event({"": text})) - len(encode_event({"": ""}))


def test_a_frame_is_not_made_of_what_is_written_otherwise() -> None:
    assert TextFrame.of(chunk(AnswerHead("\ud83d", "m", 7), {"content": ""})) is None
