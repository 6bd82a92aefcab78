"""JSON mode: asked of the model in the system prompt, and checked in a whole answer."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.anthropic.json_mode import object_in, wants_object
from nexus_core.dialects.anthropic.request import translate_request
from nexus_core.dialects.anthropic.response import translate_response
from nexus_core.dialects.report import ModelFailedError
from tests.dialects.anthropic.test_response import answer

OBJECT = {"response_format": {"type": "json_object"}}
USER = {"role": "user", "content": "a JSON object, please"}


def body(*messages: Any, **fields: Any) -> dict[str, Any]:
    asked: Any = {"model": "m", "messages": list(messages) or [USER], **fields}
    return translate_request(asked, "claude-opus-5-5").body


def test_it_is_told_to_the_model_behind_its_system_prompt() -> None:
    system = {
        "role": "system",
        "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    }

    told = body(system, USER, **OBJECT)["system"]
    alone = body(**OBJECT)["system"]

    assert told[0] == system["content"][0]
    assert told[1:] == alone
    assert "one valid JSON object" in alone[0]["text"]
    assert "system" not in body(response_format={"type": "text"})


def test_the_change_is_reported() -> None:
    asked: Any = {"model": "m", "messages": [USER], **OBJECT}

    translation = translate_request(asked, "claude-opus-5-5")

    assert translation.changed == (
        "response_format json_object → an instruction in the system prompt",
    )


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' {"a":\n 1}\n', ' {"a":\n 1}\n'),  # as it came
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('```\n{"a": "```"}\n```\n', '{"a": "```"}'),
        ('Here it is:\n{"a": {"b": 1}}\nAnything else?', '{"a": {"b": 1}}'),
    ],
)
def test_a_whole_answer_is_the_object(said: str, content: str) -> None:
    message = answer({"type": "text", "text": said})

    translated = translate_response(message, model="m", created=7, wants_object=True)
    unasked = translate_response(message, model="m", created=7)

    assert translated["choices"][0]["message"]["content"] == content
    assert unasked["choices"][0]["message"]["content"] == said


@pytest.mark.parametrize("said", ["", "No.", "[1]", '{"a": ', '{"a": 1} or {"a": 2}', "{}}{"])
def test_an_answer_without_one_is_a_failure_of_the_model(said: str) -> None:
    with pytest.raises(ModelFailedError, match="without the JSON object"):
        object_in(said)


@pytest.mark.parametrize(
    "message",
    [
        answer({"type": "text", "text": '{"a": '}, stop_reason="max_tokens"),
        answer({"type": "text", "text": "No."}, stop_reason="refusal"),
        answer(
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
            stop_reason="tool_use",
        ),
    ],
)
def test_what_is_cut_off_refused_or_a_call_is_passed_on(message: dict[str, Any]) -> None:
    translated = translate_response(message, model="m", created=7, wants_object=True)

    assert translated == translate_response(message, model="m", created=7)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({**OBJECT, "messages": [USER]}, True),
        ({**OBJECT, "messages": [USER, {"role": "assistant", "content": "{"}]}, False),
        ({"response_format": {"type": "json_schema"}, "messages": [USER]}, False),
        ({"response_format": None, "messages": [USER]}, False),
        ({"messages": [USER]}, False),
    ],
)
def test_an_answer_that_the_client_began_is_not_checked(
    fields: dict[str, Any], expected: bool
) -> None:
    assert wants_object(fields) is expected
