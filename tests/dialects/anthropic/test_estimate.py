from __future__ import annotations

import base64
from typing import Any

import pytest

from nexus_core.dialects.anthropic.estimate import (
    MAX_IMAGE_TOKENS,
    TOKENS_FOR_TOOLS,
    TOKENS_PER_PAGE,
    estimate_tokens,
)
from tests.dialects.anthropic.build import (
    HAIKU_4_5,
    PDF,
    PNG,
    USER,
    call,
    function,
    result,
    translate,
)


def estimate(model: str = HAIKU_4_5, **fields: Any) -> int:
    return estimate_tokens(translate(model, **fields).body)


def part(**fields: Any) -> int:
    """What a part adds to a message of text."""
    text = {"type": "text", "text": "hi"}
    return estimate(messages=[{"role": "user", "content": [text, fields]}]) - estimate()


def test_english_is_counted_by_what_the_models_tokenizer_makes_of_it() -> None:
    message = {"role": "user", "content": "word " * 6_800}

    assert estimate(HAIKU_4_5, messages=[message]) == pytest.approx(10_000, rel=0.01)
    assert estimate("claude-opus-5-5", messages=[message]) == pytest.approx(13_600, rel=0.01)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "system", "content": "Be brief." * 10}, USER]},
        {"messages": [{"role": "user", "content": "日本語" * 10}]},
        {"messages": [USER, {"role": "assistant", "content": "Hello"}, USER]},
        {"tools": [function()]},
        {"messages": [USER, {"role": "assistant", "tool_calls": [call("a")]}, result("a")]},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            }
        },
    ],
)
def test_everything_that_is_sent_counts(fields: dict[str, Any]) -> None:
    assert estimate(**fields) > estimate() > 0


def test_tools_bring_words_of_their_own() -> None:
    assert estimate(tools=[function()]) - estimate() > TOKENS_FOR_TOOLS


def image(data: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def png(width: int, height: int) -> str:
    head = base64.b64decode(PNG)[:16]
    return base64.b64encode(head + width.to_bytes(4) + height.to_bytes(4) + b"\0" * 9).decode()


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        (image(PNG), 1),
        (image(png(750, 100)), 100),
        (image(png(8_000, 8_000)), MAX_IMAGE_TOKENS),
        ({"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}, MAX_IMAGE_TOKENS),
        ({"type": "file", "file": {"file_data": PDF}}, TOKENS_PER_PAGE),
        ({"type": "file", "file": {"file_data": "aGVsbG8gd29ybGQ=", "filename": "a.txt"}}, 4),
    ],
)
def test_images_and_files_have_their_own_measure(fields: dict[str, Any], tokens: int) -> None:
    assert part(**fields) == pytest.approx(tokens, abs=1)
