"""generationConfig as fields of a chat request."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.errors import InvalidRequestError
from tests.dialects.gemini.inbound.bridge.asked import hub, translated

SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
WRITTEN = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({"temperature": 0.5, "topP": 0.9, "topK": 40.0}, None),
        ({"presencePenalty": 1, "frequencyPenalty": -1}, None),
        ({"stopSequences": ["a"], "seed": 7, "candidateCount": 2}, None),
        ({"candidateCount": 1, "stopSequences": []}, {}),
        ({"maxOutputTokens": 100}, {"max_tokens": 100}),
        ({"responseLogprobs": True, "logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"logprobs": 3}, {}),
        (
            {"responseMimeType": "application/json"},
            {"response_format": {"type": "json_object"}},
        ),
        ({"responseMimeType": "text/plain"}, {}),
        ({"thinkingConfig": {"thinkingLevel": "HIGH"}}, {"reasoning_effort": "high"}),
        ({"thinkingConfig": {"thinkingLevel": "MINIMAL"}}, {"reasoning_effort": "minimal"}),
        ({"thinkingConfig": {"thinkingBudget": 0}}, {"reasoning_effort": "none"}),
        ({"thinkingConfig": {"thinkingBudget": -1, "includeThoughts": True}}, {}),
        ({"thinkingConfig": {"thinkingBudget": 1024}}, {"reasoning_effort": "low"}),
        ({"thinkingConfig": {"thinkingBudget": 8192}}, {"reasoning_effort": "medium"}),
        ({"thinkingConfig": {"thinkingBudget": 24576}}, {"reasoning_effort": "high"}),
        ({"temperature": None, "topK": None}, {}),
        ({"responseModalities": ["TEXT"]}, {}),
    ],
)
def test_a_setting_is_a_field_of_the_hubs(given: dict[str, Any], written: Any) -> None:
    names = {
        "topP": "top_p",
        "topK": "top_k",
        "presencePenalty": "presence_penalty",
        "frequencyPenalty": "frequency_penalty",
        "stopSequences": "stop",
        "candidateCount": "n",
    }
    if written is None:
        written = {names.get(name, name): value for name, value in given.items()}

    found = hub(generationConfig=given)

    assert {k: v for k, v in found.items() if k not in ("model", "messages")} == written


@pytest.mark.parametrize("field", ["responseSchema", "responseJsonSchema", "response_schema"])
def test_a_schema_of_the_answer_is_one_of_json(field: str) -> None:
    config = {"responseMimeType": "application/json", field: SCHEMA}

    found = hub(generationConfig=config)["response_format"]

    assert found["json_schema"]["schema"] == WRITTEN


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (HubTarget.LOCAL, "max_tokens"),
        (HubTarget.CLOUD, "max_completion_tokens"),
        (HubTarget.TRANSLATOR, "max_completion_tokens"),
    ],
)
def test_the_limit_is_named_as_the_target_knows_it(target: HubTarget, name: str) -> None:
    assert hub(target=target, generationConfig={"maxOutputTokens": 9})[name] == 9


def test_what_has_no_place_is_told() -> None:
    config = {"topK": 5, "mediaResolution": "LOW", "maxOutputTokens": 65_536}

    found = translated(
        target=HubTarget.CLOUD,
        generationConfig=config,
        safetySettings=[],
        labels={"a": "b"},
    )

    assert set(found.dropped) == {
        *("generationConfig.topK", "generationConfig.mediaResolution"),
        *("generationConfig.maxOutputTokens", "safetySettings", "labels"),
    }
    assert found.request.parsed.keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"topK": 0.5}, "topK"),
        ({"maxOutputTokens": 0}, "maxOutputTokens"),
        ({"maxOutputTokens": "9"}, "maxOutputTokens"),
        ({"seed": 1.5}, "seed"),
        ({"stopSequences": "a"}, "stopSequences"),
        ({"responseMimeType": "text/x.enum"}, "responseMimeType"),
        ({"responseSchema": "a"}, "responseSchema"),
        ({"responseModalities": ["AUDIO"]}, "responseModalities"),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"generationConfig.{named}"):
        hub(generationConfig=given)
