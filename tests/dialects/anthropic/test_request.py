from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.anthropic.estimate import estimate_tokens
from nexus_core.dialects.anthropic.request import translate_request
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.anthropic.build import (
    HAIKU_3,
    HAIKU_4_5,
    NEWEST,
    OPUS_5,
    SONNET_4,
    SONNET_4_6,
    USER,
    function,
    translate,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
CLOSED = {**SCHEMA, "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
SUMMARY = {"type": "adaptive", "display": "summarized"}

# Model, fields of the request, and what of the body they become.
SENT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (NEWEST, {}, {"max_tokens": 128_000, "stream": False}),
    (HAIKU_4_5, {}, {"max_tokens": 64_000}),
    ("claude-opus-4-1-20250805", {}, {"max_tokens": 32_000}),
    ("claude-3-5-haiku-latest", {}, {"max_tokens": 8_192}),
    ("somebody-elses", {}, {"max_tokens": 4_096}),
    ("claude-novel-7", {}, {"max_tokens": 128_000}),
    (NEWEST, {"stream": True}, {"stream": True}),
    (NEWEST, {"max_tokens": 5}, {"max_tokens": 5}),
    (NEWEST, {"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
    (HAIKU_4_5, {"max_tokens": 99_999}, {"max_tokens": 64_000}),
    ("somebody-elses", {"max_tokens": 99_999}, {"max_tokens": 99_999}),
    (SONNET_4, {"temperature": 0.3}, {"temperature": 0.3}),
    (SONNET_4, {"temperature": 1.4}, {"temperature": 1.0}),
    (SONNET_4, {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3, "top_p": 0.5}),
    (HAIKU_4_5, {"top_p": 0.5}, {"top_p": 0.5}),
    (SONNET_4, {"top_k": 7}, {"top_k": 7}),
    (SONNET_4, {"top_k": 0}, {"top_k": None}),
    (NEWEST, {"temperature": 1, "top_p": 1}, {"temperature": None, "top_p": None}),
    (NEWEST, {"stop": "END"}, {"stop_sequences": ["END"]}),
    (NEWEST, {"stop": ["a", "", "b"]}, {"stop_sequences": ["a", "b"]}),
    (NEWEST, {"stop": ""}, {"stop_sequences": None}),
    (NEWEST, {"n": 1, "logprobs": False, "top_logprobs": 0, "modalities": ["text"]}, {}),
    (NEWEST, {"response_format": {"type": "text"}}, {"output_config": None}),
    (
        NEWEST,
        {"response_format": FORMAT},
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    ),
    (
        NEWEST,
        {"response_format": FORMAT, "reasoning_effort": "low"},
        {
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": CLOSED}},
            "thinking": SUMMARY,
        },
    ),
    (NEWEST, {"user": "user_8f3a"}, {"metadata": {"user_id": "user_8f3a"}}),
    (NEWEST, {"safety_identifier": "a1"}, {"metadata": {"user_id": "a1"}}),
    (
        NEWEST,
        {"metadata": {"user_id": "b2", "team": "x"}, "user": "a1"},
        {"metadata": {"user_id": "b2"}},
    ),
    (NEWEST, {"user": "ann@example.org"}, {"metadata": None}),
    (NEWEST, {"user": "+49 30 1234"}, {"metadata": None}),
    (NEWEST, {"user": "Ann"}, {"metadata": None}),
    (
        NEWEST,
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ),
    # Effort, per family.
    (
        NEWEST,
        {"reasoning_effort": "max"},
        {"thinking": SUMMARY, "output_config": {"effort": "max"}},
    ),
    (NEWEST, {"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
    (NEWEST, {"reasoning_effort": "none"}, {"thinking": None, "output_config": {"effort": "low"}}),
    (OPUS_5, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    ("claude-sonnet-5-5", {"reasoning_effort": "none"}, {"thinking": {"type": "between_tools"}}),
    (SONNET_4_6, {"reasoning_effort": "xhigh"}, {"output_config": {"effort": "high"}}),
    (
        HAIKU_4_5,
        {"reasoning_effort": "high"},
        {"thinking": {"type": "enabled", "budget_tokens": 16_384}, "output_config": None},
    ),
    (
        HAIKU_4_5,
        {"reasoning_effort": "high", "max_tokens": 4_000},
        {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 4_000},
    ),
    (HAIKU_4_5, {"reasoning_effort": "low", "max_tokens": 2_047}, {"thinking": None}),
    (HAIKU_4_5, {"reasoning_effort": "none"}, {"thinking": None}),
    (HAIKU_3, {"reasoning_effort": "none"}, {"thinking": None}),
    (
        HAIKU_4_5,
        {"reasoning_effort": "high", "tools": [function()], "tool_choice": "required"},
        {"thinking": None, "tool_choice": {"type": "any"}},
    ),
    (
        OPUS_5,
        {"reasoning_effort": "high", "tools": [function()], "tool_choice": "required"},
        {"thinking": None, "output_config": {"effort": "high"}},
    ),
    (
        NEWEST,
        {"thinking": {"type": "adaptive"}, "reasoning_effort": "high"},
        {"thinking": {"type": "adaptive"}},
    ),
    (
        HAIKU_4_5,
        {"thinking": {"type": "enabled", "budget_tokens": 5_000}},
        {"thinking": {"type": "enabled", "budget_tokens": 5_000}},
    ),
]


@pytest.mark.parametrize(("model", "fields", "expected"), SENT)
def test_a_field_becomes_anthropics(
    model: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = translate(model, **fields).body

    assert {name: body.get(name) for name in expected} == expected
    assert body["model"] == model


# What is dropped: a hint that the model refuses.
DROPPED: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (NEWEST, {"temperature": 0}, ("temperature",)),
    (NEWEST, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, ("temperature", "top_p", "top_k")),
    (HAIKU_4_5, {"temperature": 0.5, "top_p": 0.9}, ("top_p",)),
    (HAIKU_4_5, {"temperature": 0.5, "reasoning_effort": "low"}, ("temperature",)),
    (SONNET_4_6, {"top_p": 0.5, "reasoning_effort": "low"}, ("top_p",)),
    (SONNET_4, {"seed": 1}, ("seed",)),
    (
        SONNET_4,
        {"frequency_penalty": 0.1, "presence_penalty": -1},
        ("frequency_penalty", "presence_penalty"),
    ),
    (SONNET_4, {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}}, ()),
    (SONNET_4, {"logit_bias": {"5": 1}}, ("logit_bias",)),
    (HAIKU_3, {"reasoning_effort": "high"}, ("reasoning_effort",)),
]


@pytest.mark.parametrize(("model", "fields", "dropped"), DROPPED)
def test_a_refused_hint_is_dropped_and_named(
    model: str, fields: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    translation = translate(model, **fields)

    assert set(translation.dropped) == set(dropped)
    assert not set(dropped) & translation.body.keys()


@pytest.mark.parametrize(("model", "fields", "dropped"), [row for row in DROPPED if row[2]])
def test_a_refused_hint_is_a_422_where_hints_are_rejected(
    model: str, fields: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(model, reject_hints=True, **fields)

    assert set(error.value.fields) == set(dropped)


IGNORED: list[dict[str, Any]] = [
    {"user": "Ann"},
    {"store": True},
    {"metadata": {"team": "x"}},
    {"service_tier": "flex"},
    {"verbosity": "low"},
    {"prompt_cache_key": "k"},
    {"prompt_cache_options": {"mode": "implicit"}},
    {"prompt_cache_retention": "24h"},
    {"parallel_tool_calls": True},
    {"safety_identifier": "Ann"},
    {"unheard_of": 1},
    {"system": "Anthropic's own"},
]


@pytest.mark.parametrize("fields", IGNORED)
def test_a_field_without_effect_is_left_out_and_named(fields: dict[str, Any]) -> None:
    plain = translate().body

    translation = translate(**fields)

    assert translation.ignored == tuple(fields)
    assert translation.body == plain


@pytest.mark.parametrize("name", ["stream_options", "stop", "tools", "functions", "user"])
def test_null_says_nothing(name: str) -> None:
    fields: dict[str, Any] = {name: None}

    translation = translate(**fields)

    assert translation == translate()


UNSUPPORTED: list[tuple[str, dict[str, Any], str]] = [
    (NEWEST, {"n": 2}, "n"),
    (NEWEST, {"logprobs": True}, "logprobs"),
    (NEWEST, {"top_logprobs": 3}, "top_logprobs"),
    (NEWEST, {"modalities": ["text", "audio"]}, "modalities"),
    (NEWEST, {"audio": {"voice": "x"}}, "audio"),
    (NEWEST, {"prediction": {"type": "content", "content": "x"}}, "prediction"),
    (NEWEST, {"web_search_options": {}}, "web_search_options"),
    (NEWEST, {"moderation": {"model": "x"}}, "moderation"),
    (NEWEST, {"stop": ["x", "\n\n"]}, "stop"),
    (
        NEWEST,
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
        "response_format",
    ),
    (SONNET_4, {"response_format": FORMAT}, "response_format"),
    (NEWEST, {"reasoning_effort": "heroic"}, "reasoning_effort"),
    (NEWEST, {"thinking": {"type": "enabled"}}, "thinking"),
    (NEWEST, {"thinking": {"type": "disabled", "display": "omitted"}}, "thinking"),
    (NEWEST, {"thinking": {"type": "adaptive", "display": ["omitted"]}}, "thinking"),
    (NEWEST, {"thinking": "yes"}, "thinking"),
    (NEWEST, {"tool_choice": "required"}, "tool_choice"),
    (NEWEST, {"tools": [function()], "tool_choice": "required"}, "tool_choice"),
    (NEWEST, {"messages": [USER, {"role": "assistant", "content": "So"}]}, "messages"),
    (NEWEST, {"messages": [{"role": "system", "content": "x"}]}, "messages"),
    (NEWEST, {"messages": [{"role": "user", "content": " \n"}]}, "messages"),
]


@pytest.mark.parametrize(("model", "fields", "param"), UNSUPPORTED)
def test_what_anthropic_cannot_do_is_a_422(model: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(model, **fields)

    assert list(error.value.fields) == [param]
    assert error.value.status == 422
    assert error.value.param == param
    assert error.value.message.startswith(f"{param}: ")


def test_a_422_names_every_field_at_once() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}

    with pytest.raises(UnsupportedFieldsError) as error:
        translate(
            n=2,
            logprobs=True,
            messages=[USER, {"role": "user", "content": [audio]}],
            tools=[{"type": "custom", "custom": {"name": "c"}}],
        )

    assert set(error.value.fields) == {"n", "logprobs", "messages[1].content[0]", "tools[0]"}


@pytest.mark.parametrize(
    ("model", "fields", "word"),
    [
        (SONNET_4, {"temperature": 1.4}, "temperature 1.4 → 1.0"),
        (HAIKU_4_5, {"max_tokens": 99_999}, "max_tokens 99999 → 64000"),
        (NEWEST, {"reasoning_effort": "minimal"}, "reasoning_effort minimal → low"),
        (NEWEST, {"reasoning_effort": "none"}, "the model always reasons"),
        (HAIKU_4_5, {"reasoning_effort": "medium"}, "8192 tokens"),
        (HAIKU_4_5, {"reasoning_effort": "low", "max_tokens": 9}, "no room"),
    ],
)
def test_what_is_sent_otherwise_is_told(model: str, fields: dict[str, Any], word: str) -> None:
    changed = translate(model, **fields).changed

    assert len(changed) == 1
    assert word in changed[0]


def test_the_request_itself_is_not_changed() -> None:
    tools = [function(strict=True)]
    messages = [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]

    translate(tools=tools, messages=messages, response_format=FORMAT)

    assert tools == [function(strict=True)]
    assert messages[0]["content"] == [{"type": "text", "text": "x", "cache_control": {}}]
    assert "additionalProperties" not in SCHEMA


@pytest.mark.parametrize("depth", [100, 900, 990, 5_000, 50_000])
def test_deep_nesting_does_no_harm(depth: int) -> None:
    # What could just be parsed can't be written again where the call stack is a little higher.
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    parameters = {"type": "object", "minimum": nested}
    tools = [
        {"type": "function", "function": {"name": "f", "strict": True, "parameters": parameters}}
    ]
    request = check_chat_request({"model": "m", "messages": [USER], "tools": tools})

    translation = translate_request(request, NEWEST)

    assert estimate_tokens(translation.body) > 0


def test_only_the_last_four_cache_markers_are_sent() -> None:
    marked = [
        {"type": "text", "text": str(n), "cache_control": {"type": "ephemeral"}} for n in range(4)
    ]
    tool = {**function(), "cache_control": {"type": "ephemeral"}}

    translation = translate(
        tools=[tool],
        messages=[{"role": "system", "content": marked[:1]}, {"role": "user", "content": marked}],
    )

    content = translation.body["messages"][0]["content"]
    assert "cache_control" not in translation.body["tools"][0]
    assert "cache_control" not in translation.body["system"][0]
    assert all("cache_control" in block for block in content)
    assert "first 2" in translation.changed[0]
