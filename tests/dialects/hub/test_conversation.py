"""Conversations of other formats as the hub's messages."""

from __future__ import annotations

from nexus_core.dialects.hub.conversation import Conversation, in_order, text_part
from nexus_core.types import JsonObject

_IMAGE: JsonObject = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def _call(call_id: str) -> JsonObject:
    function = {"name": "look", "arguments": "{}"}
    return {"id": call_id, "type": "function", "function": function}


def test_all_system_prompts_are_one_and_blank_ones_are_none() -> None:
    conversation = Conversation()
    conversation.add_system(["Be brief.", " \n"])
    conversation.add_system(["Be kind."])
    conversation.add_user([text_part("Hi")])

    assert conversation.messages() == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "Hi"},
    ]


def test_turns_of_the_user_in_a_row_are_one() -> None:
    conversation = Conversation()
    conversation.add_user([text_part("Look:")])
    conversation.add_user([])
    conversation.add_user([_IMAGE])

    assert conversation.messages() == [{"role": "user", "content": [text_part("Look:"), _IMAGE]}]


def test_a_late_system_message_is_a_marked_text_of_the_users() -> None:
    conversation = Conversation()
    conversation.add_user([text_part("Hi")])
    conversation.add_reminder("The date is new.")

    (message,) = conversation.messages()
    assert message["role"] == "user"
    assert message["content"] == ("Hi\n\n<system-reminder>\nThe date is new.\n</system-reminder>")


def test_a_turn_of_the_model_that_says_nothing_is_none() -> None:
    conversation = Conversation()

    assert conversation.add_assistant(" ", "a thought alone", []) is None
    assert conversation.said == []


def test_a_turn_of_the_model_has_what_it_said_thought_and_called() -> None:
    conversation = Conversation()
    conversation.add_user([text_part("Hi")])
    message = conversation.add_assistant("", "Hm", [_call("call_1")])
    conversation.add_result("call_1", "a cat", [])

    assert message == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm",
        "tool_calls": [_call("call_1")],
    }
    assert conversation.messages()[1:] == [
        message,
        {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
    ]


def test_files_of_a_result_follow_as_the_users_and_say_whose_they_are() -> None:
    conversation = Conversation()
    conversation.add_user([text_part("Hi")])
    conversation.add_assistant("", "", [_call("call_1")])
    media = [_IMAGE]
    conversation.add_user(conversation.add_result("call_1", "", media))

    assert media == [_IMAGE]
    assert conversation.messages()[2:] == [
        {
            "role": "tool",
            "tool_call_id": "call_1",
            "content": "(its files follow in the next message)",
        },
        {
            "role": "user",
            "content": [text_part("The files of the tool result call_1:"), _IMAGE],
        },
    ]


def test_a_conversation_of_nothing_but_blanks_has_a_message_of_the_users() -> None:
    system: JsonObject = {"role": "system", "content": "Be brief."}

    assert in_order([]) == [{"role": "user", "content": ""}]
    assert in_order([system]) == [system, {"role": "user", "content": ""}]


def test_results_stand_behind_their_calls_in_the_order_of_the_calls() -> None:
    conversation = Conversation()
    conversation.add_user([text_part("Hi")])
    conversation.add_assistant("", "", [_call("call_1"), _call("call_2")])
    for call_id in ("call_2", "call_1"):
        conversation.add_result(call_id, f"of {call_id}", [])

    results = [one["tool_call_id"] for one in conversation.messages() if one["role"] == "tool"]
    assert results == ["call_1", "call_2"]
