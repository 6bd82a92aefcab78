from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse

from nexus_core.dialects.embeddings import check_embeddings_request, decode_floats
from nexus_core.dialects.gemini import (
    estimate_tokens,
    translate_embeddings_request,
    translate_embeddings_response,
)
from nexus_core.dialects.report import Translation
from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.gemini.oracles import BatchEmbedContentsBody

ANSWER = {"embeddings": [{"values": [0.5, -1]}, {"values": [0.25, 2]}]}


def translate(**fields: Any) -> Translation:
    request = {"model": "asked", **fields}
    check_embeddings_request(request)
    translation = translate_embeddings_request(request, "gemini-embedding-001")
    BatchEmbedContentsBody.model_validate_json(json.dumps(translation.body))
    return translation


def one(text: str, **more: Any) -> dict[str, Any]:
    return {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": text}]},
        **more,
    }


@pytest.mark.parametrize(
    ("fields", "requests"),
    [
        ({"input": "a"}, [one("a")]),
        ({"input": ["a", "b"]}, [one("a"), one("b")]),
        ({"input": "a", "dimensions": 256}, [one("a", outputDimensionality=256)]),
        ({"input": "a", "encoding_format": "base64"}, [one("a")]),
    ],
)
def test_a_request(fields: dict[str, Any], requests: list[Any]) -> None:
    translation = translate(**fields)

    assert translation.body == {"requests": requests}
    assert translation.ignored == ()


def test_fields_without_effect_are_named() -> None:
    assert translate(input="a", user="u", new=1, old=None).ignored == ("user", "new")


@pytest.mark.parametrize("given", [[1, 2], [[1], [2]], ["a"] * 101])
def test_tokens_and_long_lists_are_refused(given: list[Any]) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(input=given)

    assert list(error.value.fields) == ["input"]


@pytest.mark.parametrize("encoding_format", [None, "float"])
def test_an_answer_in_floats(encoding_format: str | None) -> None:
    answer = translate_embeddings_response(
        ANSWER, model="m", encoding_format=encoding_format, estimated_tokens=7
    )

    CreateEmbeddingResponse.model_validate(answer, strict=True)
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 2.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_an_answer_in_base64() -> None:
    answer = translate_embeddings_response(
        ANSWER, model="m", encoding_format="base64", estimated_tokens=7
    )

    assert [decode_floats(each["embedding"]) for each in answer["data"]] == [
        [0.5, -1.0],
        [0.25, 2.0],
    ]


def test_googles_own_count_is_better_than_an_estimate() -> None:
    answer = translate_embeddings_response(
        {**ANSWER, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}},
        model="m",
        encoding_format=None,
        estimated_tokens=7,
    )

    assert answer["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"embeddings": {}},
        {"embeddings": [5]},
        {"embeddings": [{}]},
        {"embeddings": [{"values": ["x"]}]},
        {"embeddings": [{"values": [True]}]},
        {"embeddings": [{"values": [10**400]}]},
        {"embeddings": [{"values": [1e300]}]},
    ],
)
def test_rubbish_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        translate_embeddings_response(
            answer, model="m", encoding_format="base64", estimated_tokens=7
        )


def test_the_estimate_counts_every_text() -> None:
    assert estimate_tokens(translate(input=["abcd", "abcdefgh"]).body) == 3
