"""What is read of answers and deltas in the hub's format."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.hub.said import content_in, first_choice, reasoning_in, text_in


@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({"content": "a"}, "a", ""),
        ({"content": [{"type": "text", "text": "a"}, {"text": "b"}, 5]}, "ab", ""),
        ({"content": None, "refusal": "no"}, "no", ""),
        ({"content": "a", "refusal": 5, "reasoning": "b"}, "a", "b"),
        ({"reasoning_content": "", "reasoning": "b"}, "", "b"),
        ({"content": 5}, "", ""),
    ],
)
def test_texts_are_read_in_any_place(message: dict[str, Any], text: str, thought: str) -> None:
    assert text_in(message) == text
    assert reasoning_in(message) == thought
    assert content_in(message) in text


def test_the_first_choice_has_a_message() -> None:
    choice = {"message": {"content": "a"}}

    assert first_choice({"choices": [choice, 5]}) == (choice, {"content": "a"})
    others: list[Any] = [None, [], {}, {"choices": []}, {"choices": [5]}]
    for other in (*others, {"choices": [{"message": 5}]}):
        with pytest.raises(ValueError, match="without a message"):
            first_choice(other)
