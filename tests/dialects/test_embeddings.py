from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.embeddings import (
    check_embeddings_request,
    decode_floats,
    encode_floats,
    with_encoding,
)
from nexus_core.errors import InvalidRequestError


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "a"},
        {"input": ["a", "b"]},
        {"input": [1, 2, 0]},
        {"input": [[1], [2, 3]]},
        {"input": list(range(5000))},
        {"input": "a", "dimensions": 8, "encoding_format": "base64", "user": "u", "new": {}},
        {"input": "a", "dimensions": None, "encoding_format": None, "user": None},
    ],
)
def test_what_has_its_shape_passes(fields: dict[str, Any]) -> None:
    check_embeddings_request(fields)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": [1, "a"]}, "input[0]"),
        ({"input": [1, True]}, "input[0]"),
        ({"input": [-1]}, "input[0]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": [[1], [1.5]]}, "input[1]"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": True}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "encoding_format": []}, "encoding_format"),
        ({"input": "a", "user": 5}, "user"),
    ],
)
def test_the_error_names_the_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        check_embeddings_request(fields)

    assert error.value.param == param
    assert error.value.message.startswith(f"{param}: ")


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_floats_survive_base64(values: list[float]) -> None:
    assert decode_floats(encode_floats(values)) == values


def test_base64_is_openais() -> None:
    assert base64.b64decode(encode_floats([1.0, -2.5])) == struct.pack("<2f", 1.0, -2.5)


FLOATS = {"index": 0, "object": "embedding", "embedding": [1.0, -2.5]}
ENCODED = {**FLOATS, "embedding": encode_floats([1.0, -2.5])}


@pytest.mark.parametrize("item", [FLOATS, ENCODED])
@pytest.mark.parametrize(
    ("encoding_format", "expected"), [(None, FLOATS), ("float", FLOATS), ("base64", ENCODED)]
)
def test_an_answer_comes_in_the_asked_form(
    item: dict[str, Any], encoding_format: str | None, expected: dict[str, Any]
) -> None:
    answer = {"object": "list", "data": [item], "model": "m", "usage": {"prompt_tokens": 1}}

    assert with_encoding(answer, encoding_format) == {**answer, "data": [expected]}


@pytest.mark.parametrize(
    ("answer", "encoding_format"),
    [
        ({}, "float"),
        ({"data": 5}, "float"),
        ({"data": [5]}, "float"),
        ({"data": [{}]}, "float"),
        ({"data": [{"embedding": "!"}]}, "float"),
        ({"data": [{"embedding": "QUI="}]}, "float"),
        ({"data": [{"embedding": ["x"]}]}, "base64"),
        ({"data": [{"embedding": [1e300]}]}, "base64"),
    ],
)
def test_rubbish_is_no_answer(answer: dict[str, Any], encoding_format: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        with_encoding(answer, encoding_format)
