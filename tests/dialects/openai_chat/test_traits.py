from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.openai_chat.traits import Traits, read_traits
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Capability, Endpoint

CHAT = Endpoint.CHAT_COMPLETIONS


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def traits(endpoint: Endpoint = CHAT, **fields: Any) -> Traits:
    return read_traits(endpoint, {"model": "m", **fields})


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        (user({"type": "image_url", "image_url": {"url": "x"}}), Capability.VISION),
        (user({"type": "input_audio", "input_audio": {}}), Capability.AUDIO),
        (user({"type": "file", "file": {}}), Capability.FILES),
        ({"tools": [{"type": "function"}], "messages": []}, Capability.TOOLS),
        ({"functions": [{"name": "f"}], "messages": []}, Capability.TOOLS),
        ({"response_format": {"type": "json_object"}, "messages": []}, Capability.JSON),
        ({"response_format": {"type": "json_schema"}, "messages": []}, Capability.JSON),
    ],
)
def test_the_request_shows_what_it_needs(fields: dict[str, Any], need: Capability) -> None:
    assert traits(**fields).needs == {Capability.CHAT, need}


@pytest.mark.parametrize(
    ("endpoint", "need"),
    [
        (Endpoint.EMBEDDINGS, Capability.EMBEDDINGS),
        (Endpoint.COMPLETIONS, Capability.COMPLETIONS),
        (CHAT, Capability.CHAT),
    ],
)
def test_the_endpoint_is_a_need(endpoint: Endpoint, need: Capability) -> None:
    assert traits(endpoint).needs == {need}


@pytest.mark.parametrize(
    ("endpoint", "fields", "low", "high"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "word " * 1000}]}, 1000, 1500),
        (CHAT, user({"type": "text", "text": "word " * 1000}), 1000, 1500),
        (Endpoint.COMPLETIONS, {"prompt": ["word " * 500, "word " * 500]}, 1000, 1500),
        (Endpoint.EMBEDDINGS, {"input": [1] * 1000}, 1000, 1000),
        (CHAT, {"messages": [], "tools": [{"description": "word " * 1000}]}, 1000, 1500),
    ],
)
def test_the_length_of_the_prompt_is_estimated(
    endpoint: Endpoint, fields: dict[str, Any], low: int, high: int
) -> None:
    assert low <= traits(endpoint, **fields).prompt_tokens <= high


def test_a_later_turn_begins_as_the_one_before_did() -> None:
    first = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text"}]}]
    later = [*first, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]

    before, after = traits(messages=first).prefixes, traits(messages=later).prefixes

    assert after[:2] == before
    assert len(set(after)) == 4


def test_another_model_or_text_is_another_conversation() -> None:
    messages = [{"role": "user", "content": "a"}]
    others = [
        read_traits(CHAT, {"model": "n", "messages": messages}).prefixes,
        traits(messages=[{"role": "user", "content": "b"}]).prefixes,
        traits(messages=[{"role": "system", "content": "a"}]).prefixes,
    ]

    assert traits(messages=messages).prefixes not in others


def test_a_long_conversation_is_hashed_in_part() -> None:
    messages = [{"role": "user", "content": "x" * 10_000}] * 100

    assert len(traits(messages=messages).prefixes) == 6


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ("messages", "prompt", "input", "tools", "functions", "response_format", "max_tokens", "role",
     "content", "type", "text")
)  # fmt: skip


@given(st.sampled_from(Endpoint), st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON)))
def test_whatever_passes_the_check_can_be_read(endpoint: Endpoint, fields: dict[str, Any]) -> None:
    try:
        asked = read_request(endpoint, json.dumps({"model": "m", **fields}).encode())
    except InvalidRequestError:
        return

    assert read_traits(endpoint, asked.fields).prompt_tokens >= 0


@pytest.mark.parametrize("opening", ['"content": ', '"content": [{"type": "text", "text": '])
def test_a_body_that_is_nested_too_deep_is_refused(opening: str) -> None:
    ending = "}]" if "type" in opening else ""
    deep = "[" * 300 + "]" * 300
    body = '{"model": "m", "messages": [{"role": "user", ' + opening + deep + ending + "}]}"

    with pytest.raises(InvalidRequestError, match="deeper than 200"):
        read_request(CHAT, body.encode())
