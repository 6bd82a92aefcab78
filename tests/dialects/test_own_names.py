"""A refusal names the fields as the client's API does, whatever format could not do them."""

from __future__ import annotations

import json

import pytest

from nexus_core.dialects.anthropic.inbound.dialect import MESSAGES
from nexus_core.dialects.base.dialect import Dialect
from nexus_core.dialects.gemini.inbound.dialect import GEMINI
from nexus_core.dialects.ollama.dialect import CHAT
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_responses.dialect import RESPONSES
from nexus_core.errors import UnsupportedFieldsError, called

SCHEMA = "response_format.json_schema.schema"
NAMES: list[tuple[Dialect, str, str]] = [
    (OPENAI_CHAT, "response_format", "response_format"),
    (RESPONSES, "response_format", "text.format"),
    (RESPONSES, f"{SCHEMA}.properties", "text.format.schema.properties"),
    (RESPONSES, "reasoning_effort", "reasoning.effort"),
    (RESPONSES, "messages[3].audio", "input"),
    (RESPONSES, "tool_choice", "tool_choice"),
    (MESSAGES, "response_format", "output_config.format"),
    (MESSAGES, SCHEMA, "output_config.format.schema"),
    (MESSAGES, "reasoning_effort", "output_config.effort"),
    (MESSAGES, "stop", "stop_sequences"),
    (GEMINI, "response_format", "generationConfig.responseMimeType"),
    (GEMINI, f"{SCHEMA}.items", "generationConfig.responseJsonSchema.items"),
    (GEMINI, "messages[0].content[1]", "contents"),
    (GEMINI, "n", "generationConfig.candidateCount"),
    (CHAT, "response_format", "format"),
    (CHAT, f"{SCHEMA}.items", "format.items"),
    (CHAT, "stop", "options.stop"),
    (CHAT, "reasoning_effort", "think"),
]


@pytest.mark.parametrize(("dialect", "field", "own"), NAMES)
def test_a_refused_field_has_the_name_that_the_client_knows(
    dialect: Dialect, field: str, own: str
) -> None:
    error = json.loads(dialect.error(UnsupportedFieldsError({field: "can't be done"}), "r1"))[
        "error"
    ]

    words = error if isinstance(error, str) else error["message"]
    assert words == f"{own}: can't be done"


@pytest.mark.parametrize("dialect", [RESPONSES, MESSAGES, GEMINI])
def test_so_has_one_in_a_stream_that_has_begun(dialect: Dialect) -> None:
    event = dialect.error_event(UnsupportedFieldsError({"response_format": "x"}), "r1").decode()

    assert "response_format" not in event


def test_an_error_in_a_stream_of_messages_tells_the_request_s_id() -> None:
    event = MESSAGES.error_event(UnsupportedFieldsError({"n": "x"}), "r1")

    assert json.loads(event.partition(b"data: ")[2])["request_id"] == "r1"


def test_two_fields_of_one_name_are_told_together() -> None:
    error = UnsupportedFieldsError({"messages[0]": "one", "messages[1]": "two", "n": "three"})

    assert error.called({"messages": "input"}).fields == {"input": "one, two", "n": "three"}


@pytest.mark.parametrize("path", ["", "a", "a.b", "tools[0].function", "messages_[1]"])
def test_a_path_that_has_no_other_name_stays(path: str) -> None:
    assert called(path, {"messages": "input"}) == path
