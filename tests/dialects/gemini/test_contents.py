from __future__ import annotations

from typing import Any

import pytest

from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.gemini.bodies import PNG, USER, call, calls, result, translate
from tests.dialects.gemini.oracles import check_body

DUMMY = "skip_thought_signature_validator"
SIGNATURE = "Co4BAdHtim8sKx0pVxq9V0Wm2yQv"
SIGNED = {"google": {"thought_signature": SIGNATURE}}
OLD = "gemini-2.5-flash"  # asks for no signatures


def contents(*messages: dict[str, Any], model: str = OLD) -> list[dict[str, Any]]:
    body = translate(*messages, model=model).body
    check_body(body)
    turns: list[dict[str, Any]] = body["contents"]
    return turns


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(**fields: Any) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def audio(audio_format: str, data: str = "UklGRgAA") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": audio_format}}


def test_instructions_wherever_they_stand_are_a_field_of_their_own() -> None:
    body = translate(
        {"role": "system", "content": "one"},
        USER,
        {"role": "developer", "content": [text("two"), text("")]},
        {"role": "user", "content": "more"},
    ).body

    check_body(body)
    assert body["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "hi"}, {"text": "more"}]}]


def test_turns_of_one_role_are_joined() -> None:
    assert contents(
        USER,
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": [text("b"), {"type": "refusal", "refusal": "no"}]},
        USER,
    ) == [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "a"}, {"text": "b"}, {"text": "no"}]},
        {"role": "user", "parts": [{"text": "hi"}]},
    ]


def test_an_empty_turn_is_left_out() -> None:
    assert contents(USER, {"role": "assistant", "content": ""}, USER) == [
        {"role": "user", "parts": [{"text": "hi"}, {"text": "hi"}]}
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            image(f"data:image/png;base64,{PNG}"),
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            image("https://example.org/cat.JPG?size=2"),
            {
                "fileData": {
                    "fileUri": "https://example.org/cat.JPG?size=2",
                    "mimeType": "image/jpeg",
                }
            },
        ),
        (
            image("https://example.org/photo.php"),
            {"fileData": {"fileUri": "https://example.org/photo.php"}},
        ),
        (
            file(file_data="data:application/pdf;base64,JVBERi0xLjQ=", filename="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjQ="}},
        ),
        (
            file(file_data="JVBERi0xLjQ="),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjQ="}},
        ),
        (
            file(file_data="e30=", filename="a.json"),
            {"inlineData": {"mimeType": "text/plain", "data": "e30="}},
        ),
        (
            file(file_data="https://example.org/a.pdf"),
            {"fileData": {"fileUri": "https://example.org/a.pdf", "mimeType": "application/pdf"}},
        ),
        (audio("wav"), {"inlineData": {"mimeType": "audio/wav", "data": "UklGRgAA"}}),
        (audio("mp3"), {"inlineData": {"mimeType": "audio/mp3", "data": "UklGRgAA"}}),
    ],
)
def test_a_part_beside_text(part: dict[str, Any], expected: dict[str, Any]) -> None:
    turns = contents(user(text("see"), part))

    assert turns == [{"role": "user", "parts": [{"text": "see"}, expected]}]


@pytest.mark.parametrize(
    "part",
    [
        image("data:image/gif;base64,R0lGODlhAQABAAAAACw="),
        image("data:image/png;base64,!"),
        image("data:image/png;base64,"),
        image("data:image/png"),
        image("http://example.org/cat.png"),
        image("https://example.org/cat.gif"),
        image("https://[/cat.png"),
        image("gs://bucket/cat.png"),
        image("cat.png"),
        file(file_id="file-1"),
        file(filename="a.pdf"),
        file(file_data="AAAA"),
        file(file_data="AAAA", filename="a.zip"),
        audio("pcm16"),
        audio("wav", "?"),
    ],
)
def test_a_part_that_gemini_does_not_take_is_refused_by_path(part: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(USER, user(text("see"), part))

    assert list(error.value.fields) == ["messages[1].content[1]"]


def test_markers_and_details_without_effect_are_named() -> None:
    marked = {**text("a"), "cache_control": {"type": "ephemeral"}}
    detailed = {
        "type": "image_url",
        "image_url": {"url": "https://example.org/a.png", "detail": "low"},
    }

    translation = translate(
        {**user(marked, detailed), "name": "Ann"},
        {"role": "assistant", "content": "b", "reasoning_content": "hm"},
    )

    assert translation.ignored == (
        "messages[].name",
        "cache_control",
        "image_url.detail",
        "messages[].reasoning_content",
    )


def test_calls_and_results_are_told_by_id_in_the_calls_order() -> None:
    messages = (
        USER,
        calls(call("a", "weather", '{"city":"Köln"}'), call("b", "clock")),
        result("b", "noon"),
        result("a", '{"degrees": 20}'),
    )

    turns = contents(*messages)

    assert turns[1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "weather", "args": {"city": "Köln"}}},
                {"functionCall": {"name": "clock", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "weather", "response": {"degrees": 20}}},
                {"functionResponse": {"name": "clock", "response": {"output": "noon"}}},
            ],
        },
    ]


def test_a_model_that_gives_ids_to_calls_gets_them_back() -> None:
    turns = contents(
        USER, calls(call("a"), call("b")), result("b"), result("a"), model="gemini-3.8-flash"
    )

    assert [part["functionCall"]["id"] for part in turns[1]["parts"]] == ["a", "b"]
    assert [part["functionResponse"]["id"] for part in turns[2]["parts"]] == ["a", "b"]


def test_calls_of_one_id_in_one_turn_are_answered_in_their_order() -> None:
    turns = contents(
        USER, calls(call("a", "one"), call("a", "two")), result("a", "1"), result("a", "2")
    )

    assert [part["functionResponse"] for part in turns[2]["parts"]] == [
        {"name": "one", "response": {"output": "1"}},
        {"name": "two", "response": {"output": "2"}},
    ]


def test_results_stand_before_text_that_came_between() -> None:
    turns = contents(USER, calls(call("a")), USER, result("a"))

    assert [list(part) for part in turns[2]["parts"]] == [["functionResponse"], ["text"]]


def test_an_id_that_comes_again_belongs_to_the_latest_call() -> None:
    turns = contents(
        USER, calls(call("a", "one")), result("a", "1"), calls(call("a", "two")), result("a", "2")
    )

    responses = [turn["parts"][0]["functionResponse"] for turn in turns[2::2]]
    assert [(each["name"], each["response"]["output"]) for each in responses] == [
        ("one", "1"),
        ("two", "2"),
    ]


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a":[1]}', {"a": [1]}),
        ("[1]", {"arguments": "[1]"}),
        ('{"a":', {"arguments": '{"a":'}),
        ('{"a":1e999}', {"arguments": '{"a":1e999}'}),
        ('{"a":NaN}', {"arguments": '{"a":NaN}'}),
        ("[" * 5000, {"arguments": "[" * 5000}),
    ],
)
def test_arguments_are_always_an_object(arguments: str, args: dict[str, Any]) -> None:
    turns = contents(USER, calls(call("a", arguments=arguments)), result("a"))

    assert turns[1]["parts"][0]["functionCall"]["args"] == args


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("", {"output": ""}),
        ("[1]", {"output": "[1]"}),
        ('{"error":"no"}', {"error": "no"}),
        ([text("a"), text("b")], {"output": "a\nb"}),
    ],
)
def test_a_result_is_always_an_object(content: Any, response: dict[str, Any]) -> None:
    turns = contents(USER, calls(call("a")), result("a", content))

    assert turns[2]["parts"][0]["functionResponse"]["response"] == response


def test_an_image_from_a_tool_is_within_its_result_where_the_model_takes_it() -> None:
    shown = result("a", [text("here"), image(f"data:image/png;base64,{PNG}")])
    blob = {"inlineData": {"mimeType": "image/png", "data": PNG}}

    new = contents(USER, calls(call("a")), shown, model="gemini-3.8-flash")
    old = contents(USER, calls(call("a")), shown)

    response = {"name": "weather", "response": {"output": "here"}}
    assert new[2]["parts"] == [{"functionResponse": {**response, "id": "a", "parts": [blob]}}]
    assert old[2]["parts"] == [{"functionResponse": response}, blob]


def test_the_legacy_call_and_its_result() -> None:
    turns = contents(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "x"},
    )

    assert turns[1]["parts"] == [{"functionCall": {"name": "f", "args": {}}}]
    assert turns[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]


CUSTOM = {"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([USER, calls(CUSTOM)], "messages[1].tool_calls[0]"),
        ([USER, {"role": "assistant", "audio": {"id": "a"}}], "messages[1].audio"),
        ([{"role": "system", "content": "only"}], "messages"),
    ],
)
def test_a_history_that_gemini_would_refuse_is_refused_by_path(
    messages: list[dict[str, Any]], path: str
) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(*messages)

    assert list(error.value.fields) == [path]


def test_a_calls_signature_goes_back_with_it() -> None:
    turns = contents(
        USER,
        calls(call("a", extra_content=SIGNED), call("b")),
        result("a"),
        result("b"),
        model="gemini-3.8-flash",
    )

    assert [part.get("thoughtSignature") for part in turns[1]["parts"]] == [SIGNATURE, None]


@pytest.mark.parametrize(
    "extra_content",
    [
        None,
        {},
        {"google": "x"},
        {"google": {"thought_signature": 5}},
        {"google": {"thought_signature": "é"}},
        {"google": {"thought_signature": "a"}},
        {"google": {"thought_signature": ""}},
        {"google": {"thought_signature": "QR=="}},  # has bits that stand for nothing
    ],
)
@pytest.mark.parametrize(("model", "signature"), [("gemini-3.8-flash", DUMMY), (OLD, None)])
def test_foreign_calls_get_the_dummy_where_the_model_asks_for_signatures(
    model: str, signature: str | None, extra_content: Any
) -> None:
    turns = contents(
        USER,
        calls(call("a", extra_content=extra_content), call("b")),
        result("a"),
        result("b"),
        calls(call("c")),
        result("c"),
        model=model,
    )

    assert [part.get("thoughtSignature") for part in turns[1]["parts"]] == [signature, None]
    assert turns[3]["parts"][0].get("thoughtSignature") == signature


@pytest.mark.parametrize("content", ["so", "", None])
def test_a_texts_signature_goes_back_on_its_last_part(content: str | None) -> None:
    turns = contents(USER, {"role": "assistant", "content": content, "extra_content": SIGNED}, USER)

    assert turns[1]["parts"] == [{"text": content or "", "thoughtSignature": SIGNATURE}]
