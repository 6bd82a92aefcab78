from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.openai_chat.demand import read_demand
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.request import Demand
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Capability, Operation

CHAT = Operation.CHAT
HI = [{"role": "user", "content": ""}]
NOTHING = {"messages": HI, "prompt": "", "input": ""}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def demand(operation: Operation = CHAT, **fields: Any) -> Demand:
    return read_demand(operation, {"model": "m", **NOTHING, **fields})


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        (user({"type": "image_url", "image_url": {"url": "x"}}), Capability.VISION),
        (user({"type": "input_audio", "input_audio": {}}), Capability.AUDIO),
        (user({"type": "file", "file": {}}), Capability.FILES),
        ({"tools": [{"type": "function"}]}, Capability.TOOLS),
        ({"functions": [{"name": "f"}]}, Capability.TOOLS),
        ({"response_format": {"type": "json_object"}}, Capability.JSON),
        ({"response_format": {"type": "json_schema"}}, Capability.JSON),
    ],
)
def test_the_request_shows_what_it_needs(fields: dict[str, Any], need: Capability) -> None:
    assert demand(**fields).capabilities == {Capability.CHAT, need}


@pytest.mark.parametrize(
    ("operation", "need"),
    [
        (Operation.EMBEDDINGS, Capability.EMBEDDINGS),
        (Operation.COMPLETIONS, Capability.COMPLETIONS),
        (CHAT, Capability.CHAT),
    ],
)
def test_the_operation_is_a_need(operation: Operation, need: Capability) -> None:
    assert demand(operation).capabilities == {need}


@pytest.mark.parametrize(
    ("operation", "fields", "low", "high"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "word " * 1000}]}, 1000, 1500),
        (CHAT, user({"type": "text", "text": "word " * 1000}), 1000, 1500),
        (Operation.COMPLETIONS, {"prompt": ["word " * 500, "word " * 500]}, 1000, 1500),
        (Operation.EMBEDDINGS, {"input": [1] * 1000}, 1000, 1000),
        (CHAT, {"tools": [{"description": "word " * 1000}]}, 1000, 1500),
    ],
)
def test_the_length_of_the_prompt_is_estimated(
    operation: Operation, fields: dict[str, Any], low: int, high: int
) -> None:
    assert low <= demand(operation, **fields).prompt_tokens <= high


def test_a_later_turn_begins_as_the_one_before_did() -> None:
    first = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text"}]}]
    later = [*first, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]

    before, after = demand(messages=first).prefixes, demand(messages=later).prefixes

    assert after[:2] == before
    assert len(set(after)) == 4


def test_another_model_or_text_is_another_conversation() -> None:
    messages = [{"role": "user", "content": "a"}]
    others = [
        read_demand(CHAT, {"model": "n", "messages": messages}).prefixes,
        demand(messages=[{"role": "user", "content": "b"}]).prefixes,
        demand(messages=[{"role": "system", "content": "a"}]).prefixes,
    ]

    assert demand(messages=messages).prefixes not in others


def test_a_long_conversation_is_hashed_in_part() -> None:
    messages = [{"role": "user", "content": "x" * 10_000}] * 100

    assert len(demand(messages=messages).prefixes) == 6


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ("messages", "prompt", "input", "tools", "functions", "response_format", "max_tokens", "role",
     "content", "type", "text")
)  # fmt: skip


@given(st.sampled_from(Operation), st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON)))
def test_whatever_passes_is_read_alike(operation: Operation, fields: dict[str, Any]) -> None:
    try:
        asked = read_request(operation, json.dumps({"model": "m", **fields}).encode())
    except InvalidRequestError:
        return

    assert asked.demand == read_demand(operation, asked.parsed)
    assert asked.demand.prompt_tokens >= 0


@pytest.mark.parametrize("opening", ['"content": ', '"content": [{"type": "text", "text": '])
def test_a_body_that_is_nested_too_deep_is_refused(opening: str) -> None:
    ending = "}]" if "type" in opening else ""
    deep = "[" * 300 + "]" * 300
    body = '{"model": "m", "messages": [{"role": "user", ' + opening + deep + ending + "}]}"

    with pytest.raises(InvalidRequestError, match="deeper than 200"):
        read_request(CHAT, body.encode())


@pytest.mark.parametrize(
    "odd",
    ["\ud800", 10**30, 1e300, "é", [], None],
    ids=["surrogate", "huge", "big", "é", "[]", "-"],
)
def test_the_order_of_keys_makes_no_other_conversation(odd: Any) -> None:
    part = {"type": "text", "text": "a", "odd": odd}
    turned = dict(reversed(part.items()))

    one, other = demand(**user(part)), demand(**user(turned))
    different = demand(**user({**part, "text": "b"}))

    assert one.prefixes == other.prefixes
    assert one.prefixes != different.prefixes


def test_tools_with_any_values_count_as_they_are_long() -> None:
    plain, odd = "x" * 400, "x" * 400 + "\ud800"

    counts = [demand(tools=[{"description": text}]).prompt_tokens for text in (plain, odd)]

    assert 100 <= counts[0] <= counts[1] <= 120
