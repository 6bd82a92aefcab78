from __future__ import annotations

from typing import Any

import pytest

from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.gemini.bodies import CLOCK, USER, WEATHER, translate
from tests.dialects.gemini.oracles import check_body

SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": "integer", "enum": [1]}},
    "additionalProperties": False,
}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
LITE, FLASH, PRO = "gemini-2.5-flash-lite", "gemini-2.5-flash", "gemini-2.5-pro"


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"max_tokens": 10}, {"maxOutputTokens": 10}),
        ({"max_completion_tokens": 20, "max_tokens": 10}, {"maxOutputTokens": 20}),
        ({"temperature": 1.9}, {"temperature": 1.9}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.3}, {"topP": 0.3}),
        ({"top_k": 40}, {"topK": 40}),
        ({"top_k": 0}, {}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"stop": ["a", "", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"stop": ["a", "b", "c", "d", "e"]}, {"stopSequences": ["a", "b", "c", "d", "e"]}),
        ({"stop": []}, {}),
        ({"n": 1}, {}),
        ({"n": 8}, {"candidateCount": 8}),
        ({"seed": -7}, {"seed": -7}),
        ({"frequency_penalty": 0, "presence_penalty": 0.0}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": JSON_SCHEMA},
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            {"responseMimeType": "application/json"},
        ),
        ({"modalities": ["text"]}, {}),
        ({"logprobs": False}, {}),
        ({"temperature": None, "stop": None, "n": None, "tools": None}, {}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {}),
    ],
)
def test_a_field_becomes_generation_config(fields: dict[str, Any], config: dict[str, Any]) -> None:
    translation = translate(**fields)

    check_body(translation.body)
    assert translation.body.get("generationConfig", {}) == config
    assert (translation.dropped, translation.ignored, translation.changed) == ((), (), ())


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-3.8-flash", "none", {"thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3.8-flash", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3.5-flash", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.5-flash", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-9-unheard-of", "max", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemma-4-31b-it", "low", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (FLASH, "none", {"thinkingBudget": 0}),
        (FLASH, "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        (FLASH, "max", {"thinkingBudget": 24_576, "includeThoughts": True}),
        (LITE, "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        (PRO, "none", {"thinkingBudget": 128}),
        (PRO, "high", {"thinkingBudget": 24_576, "includeThoughts": True}),
        (PRO, "max", {"thinkingBudget": 32_768, "includeThoughts": True}),
        ("gemini-2.0-flash", "none", None),
    ],
)
def test_reasoning_effort_is_the_familys_own_setting(
    model: str, effort: str, thinking: dict[str, Any] | None
) -> None:
    translation = translate(model=model, reasoning_effort=effort)

    check_body(translation.body)
    assert translation.body.get("generationConfig", {}).get("thinkingConfig") == thinking
    assert not translation.dropped


def test_an_effort_that_becomes_another_is_reported() -> None:
    translation = translate(model=FLASH, reasoning_effort="high")

    assert translation.changed == ("reasoning_effort high → thinkingBudget 24576",)


def test_more_tokens_than_the_model_writes_are_cut_and_reported() -> None:
    translation = translate(model="gemini-2.0-flash", max_tokens=100_000)

    assert translation.body["generationConfig"] == {"maxOutputTokens": 8192}
    assert translation.changed == ("max_tokens 100000 → 8192, the most that the model writes",)


def test_a_model_that_takes_penalties_and_logprobs_gets_them() -> None:
    translation = translate(
        model="gemini-2.0-flash",
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        logprobs=True,
        top_logprobs=3,
    )

    check_body(translation.body)
    assert translation.body["generationConfig"] == {
        "frequencyPenalty": 0.5,
        "presencePenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 3,
    }


HINTS = [
    ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ({"presence_penalty": -1}, "presence_penalty"),
    ({"seed": 2**31}, "seed"),
    ({"logit_bias": {"5": 3}}, "logit_bias"),
    ({"verbosity": "low"}, "verbosity"),
    ({"web_search_options": {"search_context_size": "low"}},
     "web_search_options.search_context_size"),
    ({"model": "gemini-2.0-flash", "reasoning_effort": "high"}, "reasoning_effort"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "name"), HINTS)
def test_a_hint_that_the_model_refuses_is_dropped_by_name(
    fields: dict[str, Any], name: str
) -> None:
    translation = translate(**fields)

    check_body(translation.body)
    assert translation.dropped == (name,)
    assert "generationConfig" not in translation.body


@pytest.mark.parametrize(("fields", "name"), HINTS)
def test_a_hint_is_unsupported_where_hints_are_rejected(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(reject_hints=True, **fields)

    assert list(error.value.fields) == [name]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"n": 9}, "n"),
        ({"stop": list("abcdef")}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [CLOCK], "tool_choice": {"type": "custom", "custom": {"name": "x"}}},
         "tool_choice"),
        ({"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "x"}}},
         "tool_choice"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call"),
        ({"tools": [CLOCK], "web_search_options": {}}, "web_search_options"),
        ({"model": FLASH, "tools": [CLOCK], "response_format": {"type": "json_object"}},
         "response_format"),
    ],
)  # fmt: skip
def test_what_gemini_can_not_do_is_refused_by_name(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(**fields)

    assert list(error.value.fields) == [path]
    assert error.value.param == path


def test_all_that_can_not_be_done_is_named_at_once() -> None:
    with pytest.raises(UnsupportedFieldsError) as error:
        translate(
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
            n=9,
            logprobs=True,
        )

    assert list(error.value.fields) == ["messages[0].content[0]", "n", "logprobs"]


@pytest.mark.parametrize(
    "name",
    ["user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "new"],
)
def test_a_field_without_effect_is_left_out_and_named(name: str) -> None:
    value: Any = {"a": "b"} if name == "metadata" else "x"

    translation = translate(**{name: value})

    assert translation.ignored == (name,)
    assert set(translation.body) == {"contents"}


def test_a_schema_goes_with_tools_where_the_model_takes_both() -> None:
    translation = translate(tools=[WEATHER], response_format=JSON_SCHEMA)

    check_body(translation.body)
    assert translation.body["generationConfig"]["responseJsonSchema"] == SCHEMA


def test_tools_are_declared_with_their_json_schema() -> None:
    translation = translate(tools=[WEATHER, CLOCK])

    check_body(translation.body)
    assert translation.body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Today's weather",
                    "parametersJsonSchema": WEATHER["function"]["parameters"],
                },
                {"name": "clock"},
            ]
        }
    ]


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("choice", "config", "declared"),
    [
        (None, {"mode": "AUTO"}, ["weather", "clock"]),
        ("auto", {"mode": "AUTO"}, ["weather", "clock"]),
        ("none", {"mode": "NONE"}, ["weather", "clock"]),
        ("required", {"mode": "ANY"}, ["weather", "clock"]),
        (
            {"type": "function", "function": {"name": "clock"}},
            {"mode": "ANY", "allowedFunctionNames": ["clock"]},
            ["weather", "clock"],
        ),
        (
            allowed("required", "clock"),
            {"mode": "ANY", "allowedFunctionNames": ["clock"]},
            ["weather", "clock"],
        ),
        (allowed("auto", "clock"), {"mode": "AUTO"}, ["clock"]),
    ],
)
def test_tool_choice(choice: Any, config: dict[str, Any], declared: list[str]) -> None:
    translation = translate(tools=[WEATHER, CLOCK], tool_choice=choice)

    check_body(translation.body)
    assert translation.body["toolConfig"] == {"functionCallingConfig": config}
    assert [
        function["name"] for function in translation.body["tools"][0]["functionDeclarations"]
    ] == declared


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ({"name": "clock"}, {"mode": "ANY", "allowedFunctionNames": ["clock"]}),
    ],
)
def test_legacy_functions(choice: Any, config: dict[str, Any]) -> None:
    translation = translate(functions=[CLOCK["function"]], function_call=choice)

    check_body(translation.body)
    assert translation.body["tools"] == [{"functionDeclarations": [{"name": "clock"}]}]
    assert translation.body["toolConfig"] == {"functionCallingConfig": config}


@pytest.mark.parametrize(
    ("model", "mode"), [("gemini-3.8-flash", "VALIDATED"), ("gemini-2.0-flash", "AUTO")]
)
def test_strict_functions_are_validated_where_the_model_can(model: str, mode: str) -> None:
    strict = {"type": "function", "function": {"name": "f", "strict": True}}

    translation = translate(model=model, tools=[strict])

    check_body(translation.body)
    assert translation.body["toolConfig"]["functionCallingConfig"] == {"mode": mode}


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_a_harmless_tool_choice_without_tools_is_left_out(choice: str | None) -> None:
    assert set(translate(tool_choice=choice, tools=[]).body) == {"contents"}


def test_web_search_is_googles() -> None:
    translation = translate(web_search_options={})

    check_body(translation.body)
    assert translation.body["tools"] == [{"googleSearch": {}}]


def test_one_call_at_a_time_is_seen_to_in_the_answer() -> None:
    translation = translate(USER, tools=[CLOCK], parallel_tool_calls=False)

    assert translation.changed == (
        "parallel_tool_calls false → of several calls only the first is passed on",
    )
