"""Counts are what OpenAI bills where that is known, and say so where they are estimates."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.tokens.count import (
    count_text,
    count_tokens,
)
from nexus_core.tokens.vocabularies import Tokenizers
from nexus_core.types import CountMethod, TokenCount

EXACT, ESTIMATED = CountMethod.EXACT, CountMethod.ESTIMATED

# The example of OpenAI's cookbook, with the numbers that its API billed.
JARGON = [
    ("system", None, "You are a helpful, pattern-following assistant that translates corporate "
     "jargon into plain English."),
    ("system", "example_user", "New synergies will help drive top-line growth."),
    ("system", "example_assistant", "Things working well together will increase revenue."),
    ("system", "example_user", "Let's circle back when we have more bandwidth to touch base on "
     "opportunities for increased leverage."),
    ("system", "example_assistant", "Let's talk later when we're less busy about how to do "
     "better."),
    ("user", None, "This late pivot means we don't have time to boil the ocean for the client "
     "deliverable."),
]  # fmt: skip
MESSAGES = [
    {"role": role, "content": content} | ({"name": name} if name else {})
    for role, name, content in JARGON
]
WEATHER_MESSAGES = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
WEATHER = {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {
                "type": "string",
                "description": "The city and state, e.g. San Francisco, CA",
            },
            "unit": {
                "type": "string",
                "description": "The unit of temperature to return",
                "enum": ["celsius", "fahrenheit"],
            },
        },
        "required": ["location"],
    },
}


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    loaded = Tokenizers()
    loaded.load()
    return loaded


def chat(*content: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": part} for part in content]}


@pytest.mark.parametrize(
    ("model", "billed"),
    [
        ("gpt-4", 129),
        ("gpt-4-0613", 129),
        ("gpt-3.5-turbo", 129),
        ("gpt-4o", 124),
        ("gpt-4o-mini-2024-07-18", 124),
        ("openai/gpt-4o", 124),
    ],
)
def test_a_chat_counts_what_openai_billed(model: str, billed: int, tokenizers: Tokenizers) -> None:
    counted = count_tokens(tokenizers, model, prompt_of({"messages": MESSAGES}))

    assert counted == TokenCount(billed, EXACT)


@pytest.mark.parametrize(("model", "billed"), [("gpt-4", 105), ("gpt-4o", 101)])
@pytest.mark.parametrize(
    "offered",
    [{"tools": [{"type": "function", "function": WEATHER}]}, {"functions": [WEATHER]}],
    ids=["tools", "functions"],
)
def test_tools_count_what_openai_billed(
    model: str, billed: int, offered: dict[str, Any], tokenizers: Tokenizers
) -> None:
    counted = count_tokens(tokenizers, model, prompt_of({"messages": WEATHER_MESSAGES} | offered))

    assert counted == TokenCount(billed, EXACT)


def test_before_the_load_a_count_is_an_estimate_that_says_so() -> None:
    counted = count_tokens(Tokenizers(), "gpt-4o", prompt_of({"messages": MESSAGES}))

    assert counted.method is ESTIMATED
    assert 90 < counted.tokens < 200


@pytest.mark.parametrize(
    "model",
    ["claude-sonnet-4-5-20250929", "claude-opus-5", "gemini-2.5-pro", "llama3:70b", "gpt-5",
     "o3-mini", "gpt-7", "gpt-oss:20b"],
)  # fmt: skip
def test_other_models_are_estimated_and_near(model: str, tokenizers: Tokenizers) -> None:
    counted = count_tokens(tokenizers, model, prompt_of({"messages": MESSAGES}))

    assert counted.method is ESTIMATED
    assert 90 < counted.tokens < 250


def test_a_newer_claude_counts_more_than_an_older_one(tokenizers: Tokenizers) -> None:
    text = "All happy families are alike. " * 20

    older = count_text(tokenizers, "claude-sonnet-4-5-20250929", text)
    newer = count_text(tokenizers, "claude-opus-4-7", text)

    assert 1.2 < newer.tokens / older.tokens < 1.4


PARTS: dict[str, dict[str, Any]] = {
    "tool calls": {
        "messages": [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            }
        ]
    },
    "a tool's answer": {"messages": [{"role": "tool", "tool_call_id": "1", "content": "42"}]},
    "an image": chat([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]),
    "a sound": chat(
        [{"type": "input_audio", "input_audio": {"data": "AAAA" * 40_000, "format": "wav"}}]
    ),
    "a file": chat([{"type": "file", "file": {"file_data": "AAAA" * 400}}]),
    "a schema": chat("hi") | {"response_format": {"type": "json_schema", "json_schema": {"a": 1}}},
    "a nested property": chat("hi")
    | {"functions": [{"name": "f", "parameters": {"properties": {"a": {"items": {"type": "b"}}}}}]},
}  # fmt: skip


@pytest.mark.parametrize("what", PARTS)
def test_what_openai_does_not_publish_is_an_estimate(what: str, tokenizers: Tokenizers) -> None:
    plain = count_tokens(tokenizers, "gpt-4o", prompt_of(chat("")))

    counted = count_tokens(tokenizers, "gpt-4o", prompt_of(PARTS[what]))

    assert counted.method is ESTIMATED
    assert counted.tokens > plain.tokens


def test_text_parts_count_like_text(tokenizers: Tokenizers) -> None:
    parts = [{"type": "text", "text": "Hello there."}, {"type": "text", "text": "How are you?"}]

    counted = count_tokens(tokenizers, "gpt-4o", prompt_of(chat(parts)))

    assert counted.is_exact
    separate = [count_text(tokenizers, "gpt-4o", part["text"]).tokens for part in parts]
    assert counted.tokens == 3 + 3 + 1 + sum(separate)


@pytest.mark.parametrize("field", ["prompt", "input"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hello world", 2),
        (["hello world", "hello"], 3),
        ([1, 2, 3], 3),
        ([[1, 2], [3]], 3),
        ([[[[[[1]]]]]], 1),
        (None, 0),
    ],
)
def test_a_prompt_is_text_or_token_numbers(
    field: str, value: object, expected: int, tokenizers: Tokenizers
) -> None:
    counted = count_tokens(tokenizers, "text-embedding-3-small", prompt_of({field: value}))

    assert counted == TokenCount(expected, EXACT)


def deep(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"messages": []},
        {"messages": [None, 1, "x", {}]},
        {"messages": [{"role": 1, "name": [], "content": 7, "tool_calls": "x"}]},
        {"messages": [{"content": [1, {}, {"type": "text", "text": 5}, {"type": "image_url"}]}]},
        {"messages": [{"tool_calls": [None, {"function": 3}], "function_call": {"name": None}}]},
        {"messages": [], "tools": [1, {"function": 1}, {"function": {"parameters": 1}}]},
        {"messages": [], "tools": {}, "functions": "x", "response_format": {"json_schema": 1}},
        {"messages": [], "functions": [{"parameters": {"properties": {"a": 1, "b": {"enum": 1}}}}]},
        {"messages": [], "response_format": {"json_schema": {"deep": deep(5000)}}},
        {"messages": [{"content": deep(5000)}]},
        {"prompt": deep(5000)},
        {"input": {"a": 1}},
    ],
)
def test_nothing_that_a_client_sends_raises(fields: dict[str, Any], tokenizers: Tokenizers) -> None:
    counted = count_tokens(tokenizers, "gpt-4o", prompt_of(fields))

    assert counted.tokens >= 0


# Images -------------------------------------------------------------------------------------------


def data_url(content: bytes) -> str:
    return "data:image/x;base64," + base64.b64encode(content).decode()


def png(width: int, height: int) -> str:
    return data_url(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", width, height))


def jpeg(width: int, height: int) -> str:
    remark = b"\xff\xe1" + struct.pack(">H", 4002) + b"x" * 4000
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)
    return data_url(b"\xff\xd8" + remark + frame + b"\0" * 20)


def gif(width: int, height: int) -> str:
    return data_url(b"GIF89a" + struct.pack("<HH", width, height))


def webp(width: int, height: int) -> str:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return data_url(b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + size)


def image(model: str, tokenizers: Tokenizers, **fields: str) -> int:
    part = [{"type": "image_url", "image_url": fields}]
    framed = count_tokens(tokenizers, model, prompt_of(chat(""))).tokens
    return count_tokens(tokenizers, model, prompt_of(chat(part))).tokens - framed


# The first two are the examples of OpenAI's guide.
@pytest.mark.parametrize("write", [png, jpeg, gif, webp])
@pytest.mark.parametrize(
    ("width", "height", "expected"), [(1024, 1024, 765), (2048, 4096, 1105), (100, 100, 255)]
)
def test_an_image_counts_by_its_tiles(
    write: Any, width: int, height: int, expected: int, tokenizers: Tokenizers
) -> None:
    assert image("gpt-4o", tokenizers, url=write(width, height), detail="high") == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gpt-4o", 85), ("gpt-4o-mini", 2833), ("gpt-5", 70), ("o3", 75)],
)
def test_low_detail_counts_the_base_alone(
    model: str, expected: int, tokenizers: Tokenizers
) -> None:
    assert image(model, tokenizers, url=png(4000, 4000), detail="low") == expected


@pytest.mark.parametrize(
    ("model", "width", "height", "expected"),
    [
        ("claude-sonnet-4-5", 1000, 1000, 1334),
        ("claude-sonnet-4-5", 3136, 3136, 3279),
        ("gemini-2.5-flash", 300, 300, 258),
        ("gemini-2.5-flash", 1000, 700, 516),
    ],
)
def test_other_providers_have_rules_of_their_own(
    model: str, width: int, height: int, expected: int, tokenizers: Tokenizers
) -> None:
    assert image(model, tokenizers, url=png(width, height)) == expected


@pytest.mark.parametrize(
    "url",
    ["https://example.com/a.png", "data:image/png;base64,!!", "data:image/png;base64,", png(0, 9),
     data_url(b"\xff\xd8\xff"), data_url(b"RIFF\0\0\0\0WEBPVP8"), data_url(b"\x89PNG\r\n\x1a\n")],
)  # fmt: skip
def test_an_image_of_unknown_size_counts_as_a_usual_one(url: str, tokenizers: Tokenizers) -> None:
    assert image("gpt-4o", tokenizers, url=url) == 765
