"""Function declarations and toolConfig as the hub's tools and tool_choice."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.errors import InvalidRequestError
from tests.dialects.gemini.inbound.bridge.asked import hub

F = {"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {}}}
G = {"name": "g", "parametersJsonSchema": {"type": "object", "properties": {"a_b": {}}}}
BARE = {"name": "bare"}


def choice(**config: Any) -> dict[str, Any]:
    tools = [{"functionDeclarations": [F, G]}, {"function_declarations": [BARE]}]
    return hub(tools=tools, toolConfig={"functionCallingConfig": config})


def test_declarations_are_functions() -> None:
    first, second, third = choice()["tools"]

    assert first["function"] == {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {}},
    }
    assert second["function"]["parameters"] == G["parametersJsonSchema"]
    assert third["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("config", "chosen", "names"),
    [
        ({"mode": "AUTO"}, "auto", ["f", "g", "bare"]),
        ({"mode": "auto"}, "auto", ["f", "g", "bare"]),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["g"]}, "auto", ["g"]),
        ({"mode": "NONE"}, "none", ["f", "g", "bare"]),
        ({"mode": "ANY"}, "required", ["f", "g", "bare"]),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, "required", ["f", "g"]),
        (
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
            {"type": "function", "function": {"name": "g"}},
            ["g"],
        ),
    ],
)
def test_the_mode_is_a_choice(config: dict[str, Any], chosen: object, names: list[str]) -> None:
    found = choice(**config)

    assert found["tool_choice"] == chosen
    assert [tool["function"]["name"] for tool in found["tools"]] == names


@pytest.mark.parametrize("tools", [[], [{}], [{"functionDeclarations": []}], None])
def test_without_functions_there_are_no_tools(tools: object) -> None:
    assert "tools" not in hub(tools=tools)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tools": [{"urlContext": {}}]}, "urlContext"),
        ({"tools": [{"functionDeclarations": [{"name": 7}]}]}, "name"),
        ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": 7}]}]}, "parameters"),
        (
            {
                "tools": [{"functionDeclarations": [F]}],
                "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}},
            },
            "mode",
        ),
        (
            {
                "tools": [{"functionDeclarations": [F]}],
                "toolConfig": {
                    "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}
                },
            },
            "allowedFunctionNames",
        ),
    ],
)
def test_what_is_invalid_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        hub(**fields)
