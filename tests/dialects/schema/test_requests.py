"""Whole requests: what is sent of odd tools and formats, and what the report tells of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_core.dialects.tool_calls.mapping import CallMapping
from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.schema.requests import (
    STRING,
    declarations,
    for_anthropic,
    for_google,
    history,
    tool,
)
from tests.dialects.schema.rules import check_gemini, check_strict
from tests.dialects.schema.strategies import schemas


def test_the_same_tool_twice_is_sent_once_and_told() -> None:
    tools = [tool("get_requests", {"type": "object", "properties": {"a": STRING}})] * 2

    for translation in (for_anthropic(tools=tools), for_google(tools=tools)):
        assert translation.changed == (
            "tools[1].function: the same as tools[0].function; sent once",
        )


def test_of_two_tools_of_one_name_the_last_is_sent() -> None:
    tools = [tool("f", {"properties": {"a": STRING}}), tool("f", {"properties": {"b": STRING}})]

    anthropic, google = for_anthropic(tools=tools), for_google(tools=tools)

    assert list(anthropic.body["tools"][0]["input_schema"]["properties"]) == ["b"]
    assert list(declarations(google)[0]["parametersJsonSchema"]["properties"]) == ["b"]
    assert anthropic.changed == google.changed
    assert "tools[1].function" in anthropic.changed[0]
    assert "tools[0].function" in anthropic.changed[0]


def test_one_bad_tool_of_a_hundred_costs_nothing_but_a_line_in_the_report() -> None:
    bad = {"type": "object", "properties": {"a": {"$ref": "https://example.org/remote.json"}}}
    tools = [tool(f"t{i}", {"properties": {"a": STRING}}) for i in range(99)] + [tool("bad", bad)]

    anthropic, google = for_anthropic(tools=tools), for_google(tools=tools)

    assert len(anthropic.body["tools"]) == len(declarations(google)) == 100
    for translation in (anthropic, google):
        (line,) = translation.changed
        assert line.startswith("tools[99].function.parameters.properties.a.$ref: ")


def test_a_number_beyond_all_numbers_is_the_largest() -> None:
    limits = json.loads('{"maximum": 1e999, "default": -1e999, "enum": [1, 1e999]}')
    tools = [tool("f", {"type": "object", "properties": {"a": {"type": "number", **limits}}})]

    for translation in (for_anthropic(tools=tools), for_google(tools=tools)):
        assert "Infinity" not in json.dumps(translation.body)
        assert "1.7976931348623157e+308" in json.dumps(translation.body)


@pytest.mark.parametrize("translate", [for_anthropic, for_google])
def test_a_call_with_a_number_beyond_all_numbers_goes_as_text(translate: Any) -> None:
    messages = history("f", {})
    messages[1]["tool_calls"][0]["function"]["arguments"] = '{"a": 1e999}'

    body = json.dumps(translate(messages=messages, tools=[tool("f")]).body)

    assert "Infinity" not in body
    assert "1e999" in body


def test_the_report_names_each_tool_and_what_became_of_it() -> None:
    conditions = [{"required": ["a"]}, {"required": ["b"]}]
    union = {"properties": {"a": STRING, "b": STRING}, "anyOf": conditions}

    changed = for_anthropic(tools=[tool(), tool("u", union)]).changed

    sent = for_anthropic(tools=[tool()]).body["tools"][0]["name"]
    assert changed == (
        f"tools[0].function.name: sent as {sent}",
        "tools[0].function.parameters: keys renamed, and restored in calls: $top, filter[id], a b",
        "tools[1].function.parameters: in descriptions only: anyOf",
    )


@pytest.mark.parametrize(
    ("parameters", "declared"),
    [
        (None, {}),
        ({}, {}),
        ([], {}),
        ({"type": "object", "properties": {}}, {}),
        ({"type": "object", "properties": [], "required": None}, {}),
        ({"type": "object", "properties": {}, "additionalProperties": False}, {}),
        # Whatever arguments there are
        (True, {"parametersJsonSchema": {"type": "object"}}),
        ({"type": "object"}, {"parametersJsonSchema": {"type": "object"}}),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
            {"parametersJsonSchema": {"type": "object"}},
        ),
    ],
)
def test_a_tool_without_arguments(parameters: Any, declared: Any) -> None:
    anthropic = for_anthropic(tools=[tool("f", parameters)]).body
    google = for_google(tools=[tool("f", parameters)])

    assert declarations(google) == [{"name": "f", **declared}]
    closed = {"additionalProperties": False} if "additionalProperties" in str(parameters) else {}
    assert anthropic["tools"][0]["input_schema"] == {"type": "object", "properties": {}} | closed


# https://platform.claude.com/docs/en/build-with-claude/structured-outputs, complexity limits
@pytest.mark.parametrize(
    ("parameters", "count", "strict"),
    [
        ({"properties": {"a": STRING}, "required": ["a"]}, 25, 20),
        ({"properties": {"a": STRING}}, 30, 20),
        ({"properties": {"a": STRING, "b": STRING, "c": STRING}}, 10, 8),
        ({"properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}, 18, 16),
    ],
)
def test_more_strict_tools_than_are_compiled_are_sent_without(
    parameters: Any, count: int, strict: int
) -> None:
    tools = [tool(f"t{i}", {"type": "object", **parameters}, strict=True) for i in range(count)]

    translation = for_anthropic(tools=tools)

    assert sum(each.get("strict", False) for each in translation.body["tools"]) == strict
    assert sum("strict: left out" in line for line in translation.changed) == count - strict


def test_a_tool_that_cant_be_strict_is_sent_without() -> None:
    tree = {"type": "object", "properties": {"c": {"type": "array", "items": {"$ref": "#"}}}}

    translation = for_anthropic(tools=[tool("tree", tree, strict=True)])

    assert "strict" not in translation.body["tools"][0]
    assert translation.changed[0].startswith(
        "tools[0].function.strict: left out, for parameters.properties.c.items: "
    )


def answer_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}


@pytest.mark.parametrize("schema", [False, {"properties": {"a": {}}}])
def test_an_answer_that_anthropic_cant_be_held_to_is_named_by_its_place(schema: Any) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        for_anthropic(response_format=answer_format(schema))

    path = "response_format.json_schema.schema"
    assert list(error.value.fields) == [path if schema is False else f"{path}.properties.a"]


def test_an_answer_that_gemini_cant_give_is_named() -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        for_google(response_format=answer_format(False))

    assert list(error.value.fields) == ["response_format.json_schema.schema"]


def test_any_json_is_json_without_a_schema_for_gemini() -> None:
    config = for_google(response_format=answer_format(True)).body["generationConfig"]

    assert config == {"responseMimeType": "application/json"}


def test_a_result_that_holds_a_reference_goes_to_gemini_as_text() -> None:
    text = '{"properties": {"a": {"$ref": "#/$defs/A"}}}'
    messages = history()
    messages[2]["content"] = text

    body = for_google(tools=[tool()], messages=messages).body

    response = body["contents"][2]["parts"][0]["functionResponse"]["response"]
    assert response == {"output": text}


SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("translate", [for_anthropic, for_google])
@SLOW
@given(schema=schemas(), strict=st.booleans())
def test_any_schema_is_a_tool(translate: Any, schema: Any, strict: bool) -> None:
    translation = translate(tools=[tool("good", {}), tool("any", schema, strict=strict)])

    assert translation.body["tools"]


@pytest.mark.parametrize(
    ("translate", "check"), [(for_anthropic, check_strict), (for_google, check_gemini)]
)
@SLOW
@given(schema=schemas())
def test_any_schema_of_an_answer_is_sent_or_its_place_is_named(
    translate: Any, check: Any, schema: Any
) -> None:
    try:
        body = translate(response_format=answer_format(schema)).body
    except UnsupportedFieldsError as error:
        (path,) = error.fields
        assert path.startswith("response_format.json_schema.schema")  # or it is sent
        return

    config = body.get("generationConfig", {})
    format_of = body.get("output_config", {}).get("format", {})
    sent = config.get("responseJsonSchema", format_of.get("schema"))
    if schema is not True:
        check(sent)


def test_a_request_that_needs_no_mapping_has_none() -> None:
    for translation in (for_anthropic(tools=[tool("f", {})]), for_google(tools=[tool("f", {})])):
        assert translation.calls == CallMapping()
