from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.errors import InvalidRequestError

USER = {"role": "user", "content": "hi"}


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [USER], **fields}


def call(arguments: object) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {
        "role": "assistant",
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"temperature": 3}, "temperature"),
        ({"n": True}, "n"),
        ({"stop": [1]}, "stop[0]"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0]"),
        ({"messages": [{"role": "poet", "content": "hi"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [USER, {"role": "user"}]}, "messages[1].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "scent"}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [call({"a": 1})]}, "messages[0].tool_calls[0].function.arguments"),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": 1}]},
            "messages[0].tool_call_id",
        ),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        (
            {"tools": [{"type": "function", "function": {"name": ""}}]},
            "tools[0].function.name",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": "x"}}]},
            "tools[0].function.parameters",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": 3}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_the_error_names_the_field(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        check_chat_request(request(**fields))

    assert error.value.param == path
    assert error.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "fields",
    [
        {"unheard_of": {"anything": 1}},
        {"temperature": 1, "stop": None, "tools": [], "stream": False},
        {"messages": [call("{}"), {"role": "tool", "tool_call_id": "1", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "", "more": 1}]}]},
    ],
)
def test_what_has_its_shape_passes_unchanged(fields: dict[str, Any]) -> None:
    asked = request(**fields)

    assert check_chat_request(asked) is asked


def test_the_error_is_short_however_long_a_key_is() -> None:
    fields = request(logit_bias={"k" * 1_000_000: "much"})

    with pytest.raises(InvalidRequestError, match=r"logit_bias\.kkk") as error:
        check_chat_request(fields)

    assert len(error.value.message) < 300
