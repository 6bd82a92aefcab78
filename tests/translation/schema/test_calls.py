"""Tools, history and answers agree: mapped on the way out, mapped back on the way in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.lib.streaming._deltas import accumulate_delta

from nexus_core.translation.anthropic import AnthropicStream
from nexus_core.translation.anthropic import translate_response as from_anthropic
from nexus_core.translation.google import AnswerForm, GoogleStream
from nexus_core.translation.google import translate_response as from_google
from nexus_core.translation.report import Translation, UnsupportedFieldsError
from nexus_core.translation.schema.mapping import CallMapping
from nexus_core.translation.sse import SseParser
from tests.translation.anthropic.build import OPUS_5
from tests.translation.anthropic.build import translate as to_anthropic
from tests.translation.anthropic.sdk import check_chunk
from tests.translation.google.bodies import translate as translate_for_google
from tests.translation.google.oracles import check_body
from tests.translation.schema.rules import (
    ANTHROPIC_TOOL,
    GEMINI_FUNCTION,
    check_anthropic_input,
    check_gemini,
    check_gemini_parameters,
    check_strict,
    check_strict_input,
)
from tests.translation.schema.strategies import schemas

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
NAME = "mcp__files.server/list items"
ODD = {
    "type": "object",
    "properties": {
        "$top": INTEGER,
        "filter[id]": {"type": "object", "properties": {"a b": STRING}},
        "plain": STRING,
    },
}
ARGUMENTS = {"$top": 3, "filter[id]": {"a b": "$top"}, "plain": "x", "n": 1.0}
USER = {"role": "user", "content": "hi"}


def tool(name: str = NAME, parameters: Any = ODD, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def history(name: str = NAME, arguments: Any = ARGUMENTS) -> list[dict[str, Any]]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "c1", "type": "function", "function": function}
    answer = {"role": "tool", "tool_call_id": "c1", "content": "found"}
    return [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, answer]


def for_anthropic(**fields: Any) -> Translation:
    translation = to_anthropic(OPUS_5, **fields)
    for each in translation.body.get("tools", ()):
        assert ANTHROPIC_TOOL.match(each["name"])
        check = check_strict_input if each.get("strict") else check_anthropic_input
        check(each["input_schema"])
    names = [each["name"] for each in translation.body.get("tools", ())]
    assert len(set(names)) == len(names)
    return translation


def for_google(**fields: Any) -> Translation:
    messages = fields.pop("messages", [USER])
    translation = translate_for_google(*messages, **fields)
    check_body(translation.body)
    declared = declarations(translation)
    for each in declared:
        assert GEMINI_FUNCTION.match(each["name"])
        if "parametersJsonSchema" in each:
            check_gemini_parameters(each["parametersJsonSchema"])
    assert len({each["name"] for each in declared}) == len(declared)
    return translation


def declarations(translation: Translation) -> list[dict[str, Any]]:
    found = translation.body.get("tools", [{}])[0].get("functionDeclarations", [])
    assert isinstance(found, list)
    return found


def test_anthropics_history_bears_the_names_and_keys_of_its_tools() -> None:
    body = for_anthropic(tools=[tool()], messages=history()).body

    (sent,) = body["tools"]
    use = body["messages"][1]["content"][0]
    assert use["name"] == sent["name"] != NAME
    assert set(use["input"]) - {"n"} == sent["input_schema"]["properties"].keys()


def test_googles_history_bears_the_names_and_keys_of_its_tools() -> None:
    body = for_google(tools=[tool()], messages=history()).body

    (sent,) = body["tools"][0]["functionDeclarations"]
    call = body["contents"][1]["parts"][0]["functionCall"]
    result = body["contents"][2]["parts"][0]["functionResponse"]
    assert call["name"] == result["name"] == sent["name"] != NAME
    assert set(call["args"]) - {"n"} == sent["parametersJsonSchema"]["properties"].keys()


CHOSEN = {"type": "function", "function": {"name": NAME}}
ALLOWED = {"mode": "required", "tools": [CHOSEN]}


@pytest.mark.parametrize(
    "choice", [CHOSEN, {"type": "allowed_tools", "allowed_tools": ALLOWED}, "auto"]
)
def test_the_choice_bears_the_names_of_the_tools(choice: Any) -> None:
    tools = [tool(), tool("other")]

    anthropic = for_anthropic(tools=tools, tool_choice=choice).body
    google = for_google(tools=tools, tool_choice=choice).body

    sent = anthropic["tools"][0]["name"]
    assert anthropic["tool_choice"].get("name", sent) == sent
    config = google["toolConfig"]["functionCallingConfig"]
    declared = google["tools"][0]["functionDeclarations"][0]["name"]
    assert config.get("allowedFunctionNames", [declared]) == [declared]


def test_legacy_functions_are_mapped_too() -> None:
    function = tool()["function"]
    call = {"name": NAME, "arguments": '{"$top": 1}'}
    messages = [
        USER,
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": NAME, "content": "found"},
    ]
    fields = {"functions": [function], "function_call": {"name": NAME}, "messages": messages}

    anthropic, google = for_anthropic(**fields).body, for_google(**fields).body

    name = anthropic["tools"][0]["name"]
    assert anthropic["tool_choice"]["name"] == name
    assert anthropic["messages"][1]["content"][0]["name"] == name
    name = declarations(for_google(**fields))[0]["name"]
    assert google["contents"][1]["parts"][0]["functionCall"]["name"] == name
    assert google["contents"][2]["parts"][0]["functionResponse"]["name"] == name


def test_a_history_of_tools_that_are_not_offered_is_mapped() -> None:
    anthropic, google = for_anthropic(messages=history()).body, for_google(messages=history()).body

    name = anthropic["messages"][1]["content"][0]["name"]
    assert [each["name"] for each in anthropic["tools"]] == [name]
    assert GEMINI_FUNCTION.match(google["contents"][1]["parts"][0]["functionCall"]["name"])


@pytest.mark.parametrize("value", [["a", {"$top": 1}], "text", 5, [], {"value": 1}])
def test_arguments_that_are_no_object_go_out_in_one(value: Any) -> None:
    tools = [tool("f", {"type": "array"})]

    anthropic = for_anthropic(tools=tools, messages=history("f", value)).body
    google = for_google(tools=tools, messages=history("f", value)).body

    assert anthropic["messages"][1]["content"][0]["input"] == {"value": value}
    assert google["contents"][1]["parts"][0]["functionCall"]["args"] == {"value": value}


CASES: list[tuple[str, Any, Any]] = [
    (NAME, ODD, ARGUMENTS),
    ("plain", ODD, ARGUMENTS),
    (NAME, {"type": "object", "properties": {"plain": STRING}}, {"plain": "$top"}),
    (NAME, {}, {}),
    ("list", {"type": "array", "items": ODD}, [{"$top": 1}]),
    ("word", {"enum": ["a", "b"]}, "a"),
    ("plain", {"type": "object", "properties": {"plain": STRING}}, {"plain": "ü"}),
]


def called(translation: Translation, arguments: Any, sent: str) -> Any:
    mapping = translation.calls.arguments.get(sent)
    return arguments if mapping is None else mapping.to_provider(arguments)


def anthropic_events(name: str, text: str) -> bytes:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "usage": {}}},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": name, "input": {}},
        },
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in (["", *text] if text != "{}" else [])
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
        {"type": "message_stop"},
    ]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            message = accumulate_delta(message, choice["delta"])
    return message


@pytest.mark.parametrize(("name", "parameters", "arguments"), CASES)
@pytest.mark.parametrize("strict", [False, True])
def test_anthropics_calls_come_back_as_the_clients(
    name: str, parameters: Any, arguments: Any, strict: bool
) -> None:
    translation = for_anthropic(tools=[tool(name, parameters, strict=strict)])
    sent = translation.body["tools"][0]["name"]
    given = called(translation, arguments, sent)
    use = {"type": "tool_use", "id": "t", "name": sent, "input": given}
    answer = {"type": "message", "id": "m", "content": [use], "stop_reason": "tool_use"}

    made = from_anthropic(answer, model="m", created=1, calls=translation.calls)

    function = made["choices"][0]["message"]["tool_calls"][0]["function"]
    assert function["name"] == name
    assert json.loads(function["arguments"]) == arguments


@pytest.mark.parametrize(("name", "parameters", "arguments"), CASES)
def test_anthropics_streams_come_back_as_the_clients(
    name: str, parameters: Any, arguments: Any
) -> None:
    translation = for_anthropic(tools=[tool(name, parameters)])
    sent = translation.body["tools"][0]["name"]
    text = json.dumps(called(translation, arguments, sent))
    stream_bytes = anthropic_events(sent, text)

    for cut in range(0, len(stream_bytes), 7):
        chunks = fed(
            AnthropicStream(model="m", created=1, include_usage=False, calls=translation.calls),
            [stream_bytes[:cut], stream_bytes[cut:]],
        )

        (call,) = joined(chunks)["tool_calls"]
        assert call["function"]["name"] == name
        assert json.loads(call["function"]["arguments"]) == arguments


def fed(stream: Any, pieces: list[bytes]) -> list[dict[str, Any]]:
    parser, chunks = SseParser(), []
    for piece in pieces:
        for event in parser.feed(piece):
            made = stream.feed(event)
            for chunk in made:
                check_chunk(chunk)
            chunks += made
    assert stream.is_complete
    return chunks + stream.finish()


def test_without_renamed_keys_every_piece_streams_on() -> None:
    translation = for_anthropic(tools=[tool("f", {"properties": {"a": STRING}})])
    stream = AnthropicStream(model="m", created=1, include_usage=False, calls=translation.calls)

    chunks = fed(stream, [anthropic_events("f", '{"a":"b"}')])

    pieces = [
        call["function"]["arguments"]
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert pieces == ["", *'{"a":"b"}']


def test_a_legacy_call_in_a_stream_is_the_clients() -> None:
    translation = for_anthropic(functions=[tool()["function"]])
    sent = translation.body["tools"][0]["name"]
    text = json.dumps(called(translation, ARGUMENTS, sent))
    stream = AnthropicStream(
        model="m",
        created=1,
        include_usage=False,
        legacy_functions=True,
        calls=translation.calls,
    )

    call = joined(fed(stream, [anthropic_events(sent, text)]))["function_call"]

    assert call["name"] == NAME
    assert json.loads(call["arguments"]) == ARGUMENTS


def test_a_call_that_is_cut_off_is_told_as_far_as_it_came() -> None:
    translation = for_anthropic(tools=[tool()])
    sent = translation.body["tools"][0]["name"]
    text = json.dumps(called(translation, {"$top": 3}, sent))[:-1]
    stream = AnthropicStream(model="m", created=1, include_usage=False, calls=translation.calls)

    (call,) = joined(fed(stream, [anthropic_events(sent, text)]))["tool_calls"]

    assert call["function"]["arguments"] == '{"$top": 3'


@pytest.mark.parametrize(("name", "parameters", "arguments"), CASES)
@pytest.mark.parametrize("legacy", [False, True])
def test_googles_calls_come_back_as_the_clients(
    name: str, parameters: Any, arguments: Any, legacy: bool
) -> None:
    declared = tool(name, parameters)
    fields: Any = {"functions": [declared["function"]]} if legacy else {"tools": [declared]}
    translation = for_google(**fields)
    sent = declarations(translation)[0]["name"]
    call = {"functionCall": {"name": sent, "args": called(translation, arguments, sent)}}
    candidate = {"content": {"parts": [call]}, "finishReason": "STOP", "index": 0}
    form = AnswerForm.of(fields, translation.calls)

    whole = from_google({"candidates": [candidate]}, model="m", created=1, form=form)

    stream = GoogleStream(model="m", created=1, include_usage=False, form=form)
    event = b"data: " + json.dumps({"candidates": [candidate]}).encode() + b"\r\n\r\n"
    for message in (whole["choices"][0]["message"], joined(fed(stream, [event]))):
        function = message["function_call"] if legacy else message["tool_calls"][0]["function"]
        assert function["name"] == name
        assert json.loads(function["arguments"]) == arguments


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


def test_the_report_names_each_tool_and_what_became_of_it() -> None:
    conditions = [{"required": ["a"]}, {"required": ["b"]}]
    union = {"properties": {"a": STRING, "b": STRING}, "anyOf": conditions}

    changed = for_anthropic(tools=[tool(), tool("u", union)]).changed

    sent = for_anthropic(tools=[tool()]).body["tools"][0]["name"]
    assert changed == (
        f"tools[0].function.name: sent as {sent}",
        "tools[0].function.parameters: keys renamed, and back in calls: $top, filter[id], a b",
        "tools[1].function.parameters: told in descriptions only: anyOf",
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


SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


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
