"""Paths of the Gemini API: the last colon stands before the method."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.gemini.inbound.paths import Asked, Method, read_path
from nexus_core.dialects.inbound import GEMINI_PATHS, dialect_of, inbound_at, operation_at
from nexus_core.errors import AuthenticationError, InvalidRequestError
from nexus_core.types import DialectName, Operation


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-3.8-flash:generateContent", "gemini-3.8-flash"),
        ("/v1beta/models/llama3:70b:generateContent", "llama3:70b"),
        ("/v1beta/models/meta-llama/Llama-3:free:generateContent", "meta-llama/Llama-3:free"),
        ("/v1beta/models/models/m:generateContent", "m"),
        ("/v1/models/m:generateContent", "m"),
    ],
)
def test_a_name_may_have_colons_and_slashes(path: str, model: str) -> None:
    assert read_path(path) == Asked(Method.GENERATE, model, as_array=False)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/m",
        "/v1beta/models/m:countTokens",
        "/v1beta/models/:generateContent",
        "/v1beta/models/m:generatecontent",
        "/v1/chat/completions",
        "/v1beta/files/m:generateContent",
    ],
)
def test_any_other_path_is_none(path: str) -> None:
    assert read_path(path) is None
    assert inbound_at(path.replace("/v1/chat", "/v2/chat")) is None


@pytest.mark.parametrize(
    ("query", "as_array"),
    [("", True), ("alt=sse", False), ("alt=SSE", False), ("$alt=sse", False), ("alt=json", True)],
)
def test_a_stream_is_an_array_unless_events_are_asked_for(query: str, as_array: bool) -> None:
    asked = read_path("/v1beta/models/m:streamGenerateContent", query)

    assert asked == Asked(Method.STREAM, "m", as_array)


def test_a_key_and_an_unknown_form_are_refused() -> None:
    with pytest.raises(AuthenticationError, match="x-goog-api-key"):
        read_path("/v1beta/models/m:generateContent", "alt=sse&key=k")
    with pytest.raises(InvalidRequestError, match="alt"):
        read_path("/v1beta/models/m:generateContent", "alt=proto")


def test_the_published_paths_are_those_of_the_methods() -> None:
    assert {method.path for method in Method} == set(GEMINI_PATHS)
    for method in Method:
        found = inbound_at(method.path)
        assert found is not None
        assert found.dialect.name is DialectName.GEMINI
        assert found.operation is operation_at(method.path)
    embeddings = {path for path in GEMINI_PATHS if operation_at(path) is Operation.EMBEDDINGS}
    assert embeddings == {Method.EMBED.path, Method.BATCH_EMBED.path}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1beta/anything", DialectName.GEMINI),
        ("/v1/models/m:generateContent", DialectName.GEMINI),
        ("/v1/models/m:countTokens", DialectName.GEMINI),
        ("/v1/models/llama3:70b", DialectName.OPENAI_CHAT),
        ("/v1/models", DialectName.OPENAI_CHAT),
    ],
)
def test_errors_wear_the_shape_of_the_api_that_was_asked(path: str, name: DialectName) -> None:
    assert dialect_of(path).name is name


@given(model=st.text(min_size=1), method=st.sampled_from(list(Method)))
def test_any_name_is_read_back(model: str, method: Method) -> None:
    asked = read_path(f"/v1beta/models/{model}:{method.value}")

    assert asked is not None
    assert asked.model == (None if model == "{model}" else model.removeprefix("models/"))
