from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.tool_calls.arguments import Arguments
from tests.dialects.schema.strategies import OBJECTS, VALUES

RENAMED = {"$top": "top_1", "filter[id]": "filter_2", "é": "n_3", "": "n_4"}


def arguments(*, is_wrapped: bool = False) -> Arguments:
    made = Arguments.of(RENAMED, is_wrapped=is_wrapped)
    assert made is not None
    return made


def in_pieces(mapping: Arguments, pieces: list[str]) -> str:
    stream = mapping.stream()
    return "".join([*(stream.feed(piece) for piece in pieces), stream.end()])


def test_nothing_is_mapped_where_nothing_changes() -> None:
    assert Arguments.of({}) is None


def test_keys_are_mapped_wherever_they_stand() -> None:
    given = {"$top": 1, "a": [{"filter[id]": {"é": "$top"}}], "b": {"": None}}

    sent = arguments().to_provider(given)

    assert sent == {"top_1": 1, "a": [{"filter_2": {"n_3": "$top"}}], "b": {"n_4": None}}
    assert arguments().to_client(sent) == given
    assert given["$top"] == 1  # not changed


def test_arguments_that_are_no_object_are_put_into_one() -> None:
    sent = arguments(is_wrapped=True).to_provider([{"$top": 1}])

    assert sent == {"value": [{"top_1": 1}]}
    assert arguments(is_wrapped=True).to_client(sent) == [{"$top": 1}]


def test_a_model_that_forgets_the_wrapper_is_understood() -> None:
    assert arguments(is_wrapped=True).to_client({"other": 1}) == {"other": 1}


def test_values_without_end_are_mapped_too() -> None:
    deep: Any = {"$top": 1}
    for _ in range(5_000):
        deep = [deep]

    sent: Any = arguments().to_provider(deep)

    for _ in range(5_000):
        (sent,) = sent
    assert sent == {"top_1": 1}


TEXTS = [
    ('{"top_1": 1, "a": [{"filter_2":2}]}', '{"$top": 1, "a": [{"filter[id]":2}]}'),
    ('{"a":"top_1","top_1":"n_3"}', '{"a":"top_1","$top":"n_3"}'),
    ('{"a\\"top_1":1}', '{"a\\"top_1":1}'),
    ('{"\\u0074op_1":1}', '{"$top":1}'),
    ('{"a":["top_1",{"top_1":"}"}]}', '{"a":["top_1",{"$top":"}"}]}'),
    ('{"a":"\\\\","top_1":1}', '{"a":"\\\\","$top":1}'),
    ('{"top_1":1.0e5, "b":123456789012345678901234567890}',
     '{"$top":1.0e5, "b":123456789012345678901234567890}'),
    # Cut off: the client sees as much as there is.
    ('{"top_1": "abc', '{"$top": "abc'),
    ('{"a": 1, "top_', '{"a": 1, "top_'),
    ("", ""),
    ("top_1", "top_1"),
    ("}],", "}],"),
    ('{"' + "x" * 5_000 + '":1,"top_1":1}', '{"' + "x" * 5_000 + '":1,"$top":1}'),
    ('{"n_3":{"n_4":1}}', '{"é":{"":1}}'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mapped"), TEXTS)
def test_a_stream_is_mapped_wherever_it_is_split(text: str, mapped: str) -> None:
    for cut in range(min(len(text), 80) + 1):
        assert in_pieces(arguments(), [text[:cut], text[cut:]]) == mapped
    assert in_pieces(arguments(), list(text)) == mapped


def test_what_is_no_key_is_not_held_back() -> None:
    stream = arguments().stream()

    assert stream.feed('{"a": "long te') == '{"a": "long te'
    assert stream.feed('xt", "to') == 'xt", '
    assert stream.feed('p_1"') == '"$top"'


def test_a_wrapped_stream_comes_at_its_end() -> None:
    stream = arguments(is_wrapped=True).stream()

    assert stream.feed('{"value": [{"top_1"') == ""
    assert stream.feed(": 1}]}") == ""
    assert json.loads(stream.end()) == [{"$top": 1}]


def test_a_wrapped_stream_that_is_cut_off_is_told_as_it_came() -> None:
    assert in_pieces(arguments(is_wrapped=True), ['{"value": [1, ']) == '{"value": [1, '


def test_what_is_held_back_is_bounded() -> None:
    wrapped, deep = arguments(is_wrapped=True).stream(), arguments().stream()

    with pytest.raises(ValueError, match="too long"):
        wrapped.feed("x" * 5 * 1024 * 1024)
    with pytest.raises(ValueError, match="too deep"):
        deep.feed("[" * 20_000)


@given(value=OBJECTS, cuts=st.lists(st.integers(0, 60), max_size=5))
def test_what_is_streamed_is_what_comes_whole(value: Any, cuts: list[int]) -> None:
    mapping = arguments()
    text = json.dumps(mapping.to_provider(value))
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(places)]

    assert json.loads(in_pieces(mapping, pieces)) == mapping.to_client(json.loads(text)) == value


@given(value=VALUES)
def test_wrapped_values_come_back(value: Any) -> None:
    mapping = arguments(is_wrapped=True)
    text = json.dumps(mapping.to_provider(value))

    assert json.loads(in_pieces(mapping, list(text))) == value
