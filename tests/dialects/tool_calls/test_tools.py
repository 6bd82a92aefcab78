"""Tools, history and answers agree: mapped on the way out, mapped back on the way in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta

from nexus_core.dialects.anthropic.response import translate_response as from_anthropic
from nexus_core.dialects.anthropic.stream import AnthropicStream
from nexus_core.dialects.gemini import AnswerForm, GoogleStream
from nexus_core.dialects.gemini import translate_response as from_google
from nexus_core.dialects.report import Translation
from nexus_core.dialects.sse import SseParser
from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.anthropic.sdk import check_chunk
from tests.dialects.schema.requests import (
    ARGUMENTS,
    NAME,
    ODD,
    STRING,
    USER,
    declarations,
    for_anthropic,
    for_google,
    history,
    tool,
)
from tests.dialects.schema.rules import GEMINI_FUNCTION


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


@pytest.mark.parametrize("translate", [for_anthropic, for_google])
@pytest.mark.parametrize("offered", ["tools", "functions"])
def test_a_choice_of_a_tool_that_is_not_offered_is_named(translate: Any, offered: str) -> None:
    name = "x" * 5_000  # as long as can be: the error goes to a log
    fields: dict[str, Any] = {"tools": [tool()], "tool_choice": {**CHOSEN, "function": {}}}
    fields["tool_choice"]["function"]["name"] = name
    if offered == "functions":
        fields = {"functions": [tool()["function"]], "function_call": {"name": name}}

    with pytest.raises(UnsupportedFieldsError) as refused:
        translate(**fields)

    assert refused.value.param == ("tool_choice" if offered == "tools" else "function_call")
    assert "no function 'xxx" in refused.value.message
    assert len(refused.value.message) < 200


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
    message: dict[Any, Any] = {}
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


def fed(stream: AnthropicStream | GoogleStream, pieces: list[bytes]) -> list[dict[str, Any]]:
    parser = SseParser()
    chunks: list[dict[str, Any]] = []
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
