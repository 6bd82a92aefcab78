from __future__ import annotations

import base64
from typing import Any

import pytest

from nexus_core.dialects.anthropic.tool_ids import to_anthropic_id
from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.anthropic.build import (
    HAIKU_3,
    HAIKU_4_5,
    NEWEST,
    PDF,
    PNG,
    SONNET_4,
    USER,
    call,
    function,
    result,
    translate,
)

TOOLS = [function()]
EPHEMERAL = {"type": "ephemeral"}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def calls(*tool_calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(tool_calls), **more}


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**fields: Any) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def turns(*messages: Any, model: str = NEWEST, **fields: Any) -> list[tuple[str, list[Any]]]:
    body = translate(model, messages=list(messages), **fields).body
    return [(message["role"], message["content"]) for message in body["messages"]]


def test_system_messages_go_on_top_wherever_they_stand() -> None:
    translation = translate(
        messages=[
            {"role": "system", "content": "one"},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [text("two"), text("three", cache_control=EPHEMERAL)]},
            {"role": "user", "content": "still there?"},
            {"role": "system", "content": " "},
        ]
    )

    assert translation.body["system"] == [
        text("one"),
        text("two"),
        text("three", cache_control=EPHEMERAL),
    ]
    assert translation.body["messages"] == [
        {"role": "user", "content": [text("hi"), text("still there?")]}
    ]


def test_turns_of_one_role_are_joined_and_blank_ones_left_out() -> None:
    translated = turns(
        USER,
        user(text("a"), text("")),
        {"role": "assistant", "content": "b"},
        {"role": "assistant", "content": [text("c"), {"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "d"},
    )

    assert translated == [
        ("user", [text("hi"), text("a")]),
        ("assistant", [text("b"), text("c"), text("no")]),
        ("user", [text("d")]),
    ]


def test_all_results_of_a_turn_come_first_in_the_one_user_turn_after_it() -> None:
    translated = turns(
        USER,
        calls(call("a"), call("b", arguments="")),
        {"role": "user", "content": "hurry"},
        result("b", ""),
        result("a"),
        {"role": "user", "content": "well?"},
        tools=TOOLS,
    )

    assert translated[1:] == [
        (
            "assistant",
            [
                {"type": "tool_use", "id": "a", "name": "look_up", "input": {"q": "x"}},
                {"type": "tool_use", "id": "b", "name": "look_up", "input": {}},
            ],
        ),
        (
            "user",
            [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("found")]},
                {"type": "tool_result", "tool_use_id": "b"},
                text("hurry"),
                text("well?"),
            ],
        ),
    ]


def test_ids_of_other_providers_become_legal_and_the_same_in_call_and_result() -> None:
    translated = turns(USER, calls(call("functions.f:0")), result("functions.f:0"), tools=TOOLS)

    used, answered = translated[1][1][0]["id"], translated[2][1][0]["tool_use_id"]
    assert used == answered == to_anthropic_id("functions.f:0")


def test_an_id_that_every_turn_begins_anew_is_told_apart() -> None:
    translated = turns(
        USER,
        calls(call("call_0"), call("call_0")),
        result("call_0", "first"),
        result("call_0", "second"),
        calls(call("call_0")),
        result("call_0", "third"),
        tools=TOOLS,
    )

    used = [block["id"] for role, blocks in translated if role == "assistant" for block in blocks]
    answered = [
        (block["tool_use_id"], block["content"][0]["text"])
        for role, blocks in translated[2:]
        if role == "user"
        for block in blocks
    ]
    assert len(set(used)) == 3
    assert answered == list(zip(used, ["first", "second", "third"], strict=True))
    assert used[0] == "call_0"


def test_legacy_calls_and_their_results_find_each_other_by_name() -> None:
    translated = turns(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "ok"},
        functions=[{"name": "f"}],
    )

    (use,), (answer,) = translated[1][1], translated[2][1]
    assert use == {"type": "tool_use", "id": use["id"], "name": "f", "input": {}}
    assert answer == {
        "type": "tool_result",
        "tool_use_id": use["id"],
        "content": [text("ok")],
    }


@pytest.mark.parametrize("arguments", ["[1]", "{", "NaN", "oh", '{"a": Infinity}'])
def test_arguments_that_are_no_object_are_sent_as_text(arguments: str) -> None:
    messages = [USER, calls(call("a", arguments=arguments)), result("a")]

    translation = translate(messages=messages, tools=TOOLS)

    assert translation.body["messages"][1]["content"][0]["input"] == {"arguments": arguments}
    assert "messages[1].tool_calls[0]" in translation.changed[0]


def test_tools_of_the_history_are_named_where_the_request_has_none() -> None:
    translation = translate(messages=[USER, calls(call("a")), result("a")])

    assert translation.body["tools"] == [{"name": "look_up", "input_schema": {"type": "object"}}]
    assert translation.body["tool_choice"] == {"type": "none"}
    assert "none may be called" in translation.changed[0]


PNG_SOURCE = {"type": "base64", "media_type": "image/png", "data": PNG}
PDF_SOURCE = {"type": "base64", "media_type": "application/pdf", "data": PDF}
WORDS = base64.b64encode(b"some words").decode()

PARTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (text("a"), text("a")),
    (image(f"data:image/png;base64,{PNG}"), {"type": "image", "source": PNG_SOURCE}),
    # Clients often claim the wrong type, and Anthropic checks it.
    (image(f"data:image/jpeg;base64,{PNG}"), {"type": "image", "source": PNG_SOURCE}),
    (
        image("https://example.org/a.png", detail="high"),
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
    ),
    (image(f"data:application/pdf;base64,{PDF}"), {"type": "document", "source": PDF_SOURCE}),
    (
        file(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf"),
        {"type": "document", "source": PDF_SOURCE, "title": "a.pdf"},
    ),
    (file(file_data=PDF), {"type": "document", "source": PDF_SOURCE}),
    (file(file_data=PNG, filename="a.png"), {"type": "image", "source": PNG_SOURCE}),
    (
        file(file_data=WORDS, filename="notes.txt"),
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "some words"},
            "title": "notes.txt",
        },
    ),
    (
        file(file_id="file_011CNha8iCJcU1wXNR6q4V8w"),
        {
            "type": "document",
            "source": {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"},
        },
    ),
    (
        {**text("a"), "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "x"}},
        text("a", cache_control={"type": "ephemeral", "ttl": "1h"}),
    ),
    (
        {**text("a"), "prompt_cache_breakpoint": {"mode": "explicit"}},
        text("a", cache_control={"type": "ephemeral", "ttl": "1h"}),
    ),
]


@pytest.mark.parametrize(("part", "block"), PARTS)
def test_a_part_becomes_a_block(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert turns(user(part)) == [("user", [block])]


@pytest.mark.parametrize(("part", "block"), PARTS)
def test_a_part_of_a_tool_result_stays_within_it(
    part: dict[str, Any], block: dict[str, Any]
) -> None:
    translated = turns(USER, calls(call("a")), result("a", [part]), tools=TOOLS)

    plain = {name: value for name, value in block.items() if name != "cache_control"}
    expected = {"type": "tool_result", "tool_use_id": "a", "content": [plain]}
    if "cache_control" in block:
        expected["cache_control"] = block["cache_control"]
    assert translated[2] == ("user", [expected])


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (NEWEST, {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
        (NEWEST, image("data:image/bmp;base64,Qk0=")),
        (NEWEST, image("data:image/png;base64,%%%")),
        (NEWEST, image("data:image/png")),
        (NEWEST, image("http://example.org/a.png")),
        (NEWEST, image("https://[")),
        (NEWEST, image("ftp://example.org/a.png")),
        (NEWEST, image("https:")),
        (NEWEST, file(file_id="file-abc")),
        (NEWEST, file(filename="a.pdf")),
        (NEWEST, file(file_data="AAAA", filename="a.docx")),
        (NEWEST, file(file_data="/w==", filename="a.txt")),
        (NEWEST, file(file_data="IA==", filename="a.txt")),
        ("claude-instant-1.2", image(f"data:image/png;base64,{PNG}")),
        (HAIKU_3, file(file_data=PDF, filename="a.pdf")),
    ],
)
def test_a_part_that_cannot_be_sent_is_named(model: str, part: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        turns(user(text("a"), part), model=model)

    assert list(error.value.fields) == ["messages[0].content[1]"]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (
            calls({"id": "a", "type": "custom", "custom": {"name": "c", "input": ""}}),
            "tool_calls[0]",
        ),
        ({"role": "assistant", "content": "x", "audio": {"id": "x"}}, "audio"),
    ],
)
def test_what_the_history_has_and_anthropic_has_not_is_named(
    message: dict[str, Any], path: str
) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        turns(USER, message, USER)

    assert list(error.value.fields) == [f"messages[1].{path}"]


def test_a_cache_marker_on_a_message_is_about_its_end() -> None:
    marked = {**user(text("a"), text("b")), "cache_control": EPHEMERAL}

    assert turns(marked) == [("user", [text("a"), text("b", cache_control=EPHEMERAL)])]


def test_a_cache_marker_on_blank_text_moves_to_what_stands_before_it() -> None:
    assert turns(user(text("a"), text("", cache_control=EPHEMERAL))) == [
        ("user", [text("a", cache_control=EPHEMERAL)])
    ]


@pytest.mark.parametrize("content", ["So ", "So\n\n"])
def test_the_end_of_a_given_beginning_is_trimmed(content: str) -> None:
    translated = turns(USER, {"role": "assistant", "content": content}, model=SONNET_4)

    assert translated[1] == ("assistant", [text("So")])


def test_names_of_participants_are_left_out_and_named() -> None:
    translation = translate(messages=[{**USER, "name": "ann"}, {**USER, "name": "bob"}])

    assert translation.ignored == ("messages[].name",)


THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eHl6"}


def test_returned_thinking_stands_where_it_stood() -> None:
    message = {
        "role": "assistant",
        "content": "Let me see. Found.",
        "tool_calls": [call("a"), call("b")],
        "thinking_blocks": [
            {**THINKING, "text_before": 0, "calls_before": 0, "index": 0},
            {**REDACTED, "text_before": 11, "calls_before": 1, "index": 1},
        ],
    }

    translated = turns(USER, message, result("a"), result("b"), tools=TOOLS)

    kinds = [block.get("text") or block.get("id") or block for block in translated[1][1]]
    assert kinds == [THINKING, "Let me see.", "a", REDACTED, " Found.", "b"]


def test_thinking_comes_back_by_way_of_the_tool_call_alone() -> None:
    carried = {"anthropic": {"thinking_blocks": [THINKING]}}
    message = calls({**call("a"), "extra_content": carried})

    translated = turns(USER, message, result("a"), tools=TOOLS, model=HAIKU_4_5)

    assert [block["type"] for block in translated[1][1]] == ["thinking", "tool_use"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "hm"},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "redacted_thinking"},
        {"type": "thought"},
        "hm",
    ],
)
def test_thinking_without_its_signature_is_not_sent(block: Any) -> None:
    message = {"role": "assistant", "content": "x", "thinking_blocks": [block]}

    assert turns(USER, message, USER)[1] == ("assistant", [text("x")])


def test_a_turn_that_was_cut_off_while_thinking_is_left_out() -> None:
    message = {"role": "assistant", "content": None, "thinking_blocks": [THINKING]}

    assert turns(USER, message, USER) == [("user", [text("hi"), text("hi")])]


def test_a_model_that_does_not_think_gets_no_thinking() -> None:
    message = {"role": "assistant", "content": "x", "thinking_blocks": [THINKING]}

    assert turns(USER, message, USER, model=HAIKU_3)[1] == ("assistant", [text("x")])


@pytest.mark.parametrize(
    ("extra", "thinks"), [({"thinking_blocks": [THINKING]}, True), ({}, False)]
)
def test_a_budget_is_given_only_if_the_tool_use_that_goes_on_has_its_thinking(
    extra: dict[str, Any], thinks: bool
) -> None:
    messages = [USER, calls(call("a"), **extra), result("a")]

    translation = translate(HAIKU_4_5, messages=messages, tools=TOOLS, reasoning_effort="low")

    assert ("thinking" in translation.body) is thinks
