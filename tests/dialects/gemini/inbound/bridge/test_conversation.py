"""Contents as messages: pairing of calls and results, thoughts, signatures, media."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.gemini.inbound.signatures import sign
from nexus_core.errors import InvalidRequestError
from tests.dialects.gemini.inbound.bridge.asked import (
    HI,
    called,
    gave,
    hub,
    model,
    translated,
    user,
)


def messages(*contents: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub(*contents, **fields)["messages"]
    return found


@pytest.mark.parametrize(
    "instruction",
    [
        "Be brief.",
        {"parts": [{"text": "Be brief."}]},
        {"parts": {"text": "Be brief."}},
        {"role": "system", "parts": [{"text": "Be brief."}]},
    ],
)
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_an_instruction_is_the_system_message(name: str, instruction: object) -> None:
    assert messages(HI, **{name: instruction}) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_turns_of_the_user_in_a_row_are_one() -> None:
    assert messages(user({"text": "a"}), {"parts": [{"text": "b"}]}) == [
        {"role": "user", "content": "a\n\nb"}
    ]


def test_results_are_paired_by_id_in_whatever_order_they_come() -> None:
    *_, said, first, second = messages(
        HI,
        model({"text": "I look."}, called("f", "1", x=1), called("f", "2", x=2)),
        user(gave("f", "2", output="two"), gave("f", "1", output="one")),
    )

    assert said["content"] == "I look."
    assert [call["id"] for call in said["tool_calls"]] == ["1", "2"]
    assert [(one["tool_call_id"], one["content"]) for one in (first, second)] == [
        ("1", "one"),
        ("2", "two"),
    ]


def test_without_ids_results_are_paired_by_name_and_order() -> None:
    *_, said, first, second, third = messages(
        HI,
        model(called("f", x=1), called("g"), called("f", x=2)),
        user(gave("g", output="g"), gave("f", output="f1"), gave("f", output="f2")),
    )

    by_id = {call["id"]: call["function"] for call in said["tool_calls"]}
    assert len(by_id) == 3
    assert [(by_id[one["tool_call_id"]]["name"], one["content"]) for one in (first, second)] == [
        ("f", "f1"),
        ("g", "g"),
    ]
    assert json.loads(by_id[third["tool_call_id"]]["arguments"]) == {"x": 2}
    assert third["content"] == "f2"


def test_an_id_of_one_turn_is_not_taken_for_that_of_a_later_one() -> None:
    turn = [model(called("f")), user(gave("f", output="x"))]
    found = messages(HI, *turn, *turn)

    ids = [one["tool_call_id"] for one in found if one["role"] == "tool"]
    assert len(set(ids)) == 2


def test_a_long_id_is_shortened_the_same_way_on_both_sides() -> None:
    long = "mcp_server_tool_" + "x" * 60
    *_, said, result = messages(HI, model(called("f", long)), user(gave("f", long, output="y")))

    assert said["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) <= 40


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"output": "a"}, "a"),
        ({"result": "a"}, "a"),
        ({"error": "no"}, "Error: no"),
        ({"output": {"b": 1}}, '{"output":{"b":1}}'),
        ({"output": "a", "more": 1}, '{"output":"a","more":1}'),
    ],
)
def test_a_result_is_told_as_text(response: dict[str, Any], text: str) -> None:
    *_, result = messages(HI, model(called("f", "1")), user(gave("f", "1", **response)))

    assert result["content"] == text


def test_thoughts_of_other_models_go_back_and_googles_do_not() -> None:
    own = {"text": "mine", "thought": True, "thoughtSignature": sign()}
    googles = {"text": "its", "thought": True, "thoughtSignature": "c2ln"}
    _, said, _ = messages(HI, model(own, googles, {"text": "a"}), HI)

    assert said == {"role": "assistant", "content": "a", "reasoning_content": "mine"}


def test_what_another_provider_wants_back_is_carried_by_a_signature() -> None:
    extra = {"vendor": {"x": 1}}
    signed = called("f", "1") | {"thoughtSignature": sign(extra)}
    other = called("g", "2") | {"thoughtSignature": "c2ln"}
    answers = user(gave("f", "1", output="a"), gave("g", "2", output="b"))
    said = messages(HI, model(signed, other), answers)[1]

    assert [call.get("extra_content") for call in said["tool_calls"]] == [extra, None]


def test_media_stand_where_the_hub_has_a_place_for_them() -> None:
    png = {"inline_data": {"mime_type": "image/png", "data": "AA-_"}}
    wav = {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    pdf = {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}
    text = {"inlineData": {"mimeType": "text/plain", "data": "aGk="}}
    link = {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.test/a.jpg"}}
    (said,) = messages(user(png, wav, pdf, text, link))

    assert [part["type"] for part in said["content"]] == [
        *("image_url", "input_audio", "file", "text", "image_url")
    ]
    assert said["content"][0]["image_url"]["url"] == "data:image/png;base64,AA+/"
    assert said["content"][1]["input_audio"] == {"data": "AAAA", "format": "wav"}
    assert said["content"][2]["file"]["file_data"] == "data:application/pdf;base64,AAAA"
    assert said["content"][3]["text"] == "hi"


def test_images_of_a_result_follow_as_the_users() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    result = {"functionResponse": {"name": "f", "response": {"output": "x"}, "parts": [image]}}
    *_, told, shown = messages(HI, model(called("f")), user(result))

    assert (told["role"], shown["role"]) == ("tool", "user")
    assert [part["type"] for part in shown["content"]] == ["text", "image_url"]


def test_code_that_google_ran_is_text_for_another_model() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
    _, said, _ = messages(HI, model({"text": "see"}, code, output), HI)

    assert "```python\nprint(1)\n```" in said["content"]
    assert "OUTCOME_OK:\n1" in said["content"]


def test_an_image_that_a_model_drew_is_left_out_and_told() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    found = translated(HI, model({"text": "here"}, image, image), HI)

    assert found.dropped == ("contents[].parts[].inlineData",)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}}, "fileData"),
        ({"fileData": {"fileUri": "gs://a/b.png", "mimeType": "image/png"}}, "fileData"),
        ({"fileData": {"fileUri": "https://x.test/a.pdf"}}, "fileData"),
        ({"inlineData": {"data": "AAAA"}}, "inlineData"),
        ({"inlineData": {"mimeType": "text/plain", "data": "%"}}, "inlineData"),
        ({"hologram": {}}, "hologram"),
        ({"functionResponse": {"response": {}}}, "functionResponse.name"),
    ],
)
def test_what_no_other_model_reads_is_refused_by_name(part: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        messages(user(part))
