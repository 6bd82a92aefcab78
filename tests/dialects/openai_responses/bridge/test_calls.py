"""Calls in the making: pieces of arguments, and the plain input of a custom tool."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.openai_responses.bridge.calls import Call
from nexus_core.dialects.openai_responses.bridge.tools import Kind, Tool

CUSTOM = Tool(Kind.CUSTOM, "patch", "patch")


def told(call: Call, *pieces: str) -> str:
    """What a client is told in pieces."""
    made = ""
    for piece in pieces:
        call.add(piece)
        made += call.new_text()
    return made + call.last_text()


@given(text=st.text(max_size=30), ascii_only=st.booleans(), size=st.integers(1, 5))
def test_a_custom_input_is_the_same_in_pieces_of_any_size(
    text: str, ascii_only: bool, size: int
) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    call = Call(CUSTOM, "ctc_1", "c1")

    pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]

    assert told(call, *pieces) == text == call.input
    assert call.is_whole


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("ls -a", "ls -a"),
        ('"ls"', "ls"),
        ('{"patch": "p"}', "p"),
        ('{"input": "cut o', "cut o"),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 2}'),
        ("", ""),
        ("{}", ""),
    ],
)
def test_what_is_not_the_one_text_is_made_the_best_of(arguments: str, given: str) -> None:
    call = Call(CUSTOM, "ctc_1", "c1")

    assert told(call, arguments) == given
    assert call.item()["input"] == given


def test_a_call_without_arguments_has_an_empty_object() -> None:
    call = Call(Tool(Kind.FUNCTION, "f", "f"), "fc_1", "c1")

    assert told(call) == "{}"
    assert call.item()["arguments"] == "{}"
