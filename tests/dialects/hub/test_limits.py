from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.anthropic.request import translate_request as to_anthropic
from nexus_core.dialects.gemini import translate_request as to_gemini
from nexus_core.dialects.hub.limits import completion_limit, number_of_choices
from nexus_core.dialects.openai_chat.demand import read_demand
from nexus_core.types import Operation


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 0}, 5),
        ({"max_tokens": None, "max_completion_tokens": "9"}, None),
    ],
)
def test_the_newer_limit_of_a_completion_counts(
    fields: dict[str, Any], expected: int | None
) -> None:
    assert completion_limit(fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1),
        ({"n": None}, 1),
        ({"n": 3}, 3),
        ({"n": 0}, 1),
        ({"n": -2}, 1),
        ({"n": "3"}, 1),
        ({"n": 10**9}, 128),
    ],
)
def test_the_number_of_answers_makes_sense(fields: dict[str, Any], expected: int) -> None:
    assert number_of_choices(fields) == expected


def test_routing_money_and_providers_go_by_the_same_limit() -> None:
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 20,
        "max_completion_tokens": 30,
        "n": 1,
    }

    demand = read_demand(Operation.CHAT, chat)

    assert (demand.completion_limit, demand.choices) == (30, 1)
    assert to_anthropic(chat, "claude-sonnet-4-5").body["max_tokens"] == 30
    assert to_gemini(chat, "gemini-2.5-flash").body["generationConfig"]["maxOutputTokens"] == 30
