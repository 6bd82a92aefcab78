from __future__ import annotations

from typing import Any

import pytest

from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.anthropic.build import OPUS_5, SONNET_4, function, translate

TWO = [function("a"), function("b")]
SERIAL = {"disable_parallel_tool_use": True}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("fields", "names", "choice"),
    [
        ({}, ["a", "b"], None),
        ({"tool_choice": "auto"}, ["a", "b"], {"type": "auto"}),
        ({"tool_choice": "none"}, ["a", "b"], {"type": "none"}),
        ({"tool_choice": "required"}, ["a", "b"], {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "b"}}},
            ["a", "b"],
            {"type": "tool", "name": "b"},
        ),
        ({"tool_choice": allowed("auto", "b", "c")}, ["b"], {"type": "auto"}),
        ({"tool_choice": allowed("required", "a")}, ["a"], {"type": "any"}),
        ({"parallel_tool_calls": True}, ["a", "b"], None),
        ({"parallel_tool_calls": False}, ["a", "b"], {"type": "auto", **SERIAL}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            ["a", "b"],
            {"type": "any", **SERIAL},
        ),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, ["a", "b"], {"type": "none"}),
    ],
)
def test_the_choice_among_tools(
    fields: dict[str, Any], names: list[str], choice: dict[str, Any] | None
) -> None:
    body = translate(OPUS_5, tools=TWO, **fields).body

    assert [tool["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == choice


@pytest.mark.parametrize(
    ("function_call", "choice"),
    [
        (None, None),
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ({"name": "f"}, {"type": "tool", "name": "f"}),
    ],
)
def test_legacy_functions_are_tools(function_call: Any, choice: dict[str, Any] | None) -> None:
    parameters = {"type": "object", "properties": {}}
    functions = [{"name": "f", "description": "does f", "parameters": parameters}]

    body = translate(OPUS_5, functions=functions, function_call=function_call).body

    assert body["tools"] == [{"name": "f", "description": "does f", "input_schema": parameters}]
    assert body.get("tool_choice") == choice


@pytest.mark.parametrize("choice", ["none", "auto", allowed("auto", "a")])
def test_a_choice_among_no_tools_is_not_sent(choice: Any) -> None:
    body = translate(tools=[], tool_choice=choice).body

    assert "tools" not in body
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"parameters": None}, {"type": "object", "properties": {}}),
        ({"parameters": {}}, {"type": "object", "properties": {}}),
        ({"parameters": {"properties": {}}}, {"type": "object", "properties": {}}),
        (
            {"parameters": {"type": "object", "additionalProperties": True, "minProperties": 1}},
            {"type": "object", "additionalProperties": True, "minProperties": 1},
        ),
    ],
)
def test_parameters_are_sent_as_they_are(given: dict[str, Any], sent: dict[str, Any]) -> None:
    body = translate(tools=[{"type": "function", "function": {"name": "f", **given}}]).body

    assert body["tools"] == [{"name": "f", "input_schema": sent}]


def test_a_strict_tool_has_a_schema_that_can_be_enforced() -> None:
    (tool,) = translate(tools=[function("f", strict=True)]).body["tools"]

    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False


def test_a_model_without_strict_tools_gets_them_as_they_are() -> None:
    translation = translate(SONNET_4, tools=[function("f", strict=True)])

    assert "strict" not in translation.body["tools"][0]
    assert "additionalProperties" not in translation.body["tools"][0]["input_schema"]
    assert "tools[0].function.strict" in translation.changed[0]


def test_a_cache_marker_on_a_tool_stays_on_it() -> None:
    tool = {**function("f"), "cache_control": {"type": "ephemeral"}}

    assert translate(tools=[tool]).body["tools"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        (
            {"tools": TWO, "tool_choice": {"type": "custom", "custom": {"name": "c"}}},
            "tool_choice",
        ),
        (
            {
                "tools": TWO,
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "custom"}]},
                },
            },
            "tool_choice.allowed_tools.tools[0]",
        ),
        (
            {"functions": [{"name": "f"}], "function_call": {"name": "f"}, "_model": True},
            "function_call",
        ),
    ],
)
def test_tools_that_anthropic_has_not_are_named(fields: dict[str, Any], path: str) -> None:
    model = "claude-opus-5-5" if fields.pop("_model", False) else OPUS_5

    with pytest.raises(UnsupportedFieldsError) as error:
        translate(model, **fields)

    assert list(error.value.fields) == [path]
