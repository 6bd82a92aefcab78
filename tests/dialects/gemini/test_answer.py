from __future__ import annotations

from typing import Any

import pytest
from google.genai.types import FinishReason

from nexus_core.dialects.gemini import AnswerForm, read_usage, translate_response
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject
from tests.dialects.gemini.bodies import CLOCK, USER, answer
from tests.dialects.gemini.oracles import check_answer

CALL = {"functionCall": {"name": "weather", "args": {"city": "Köln"}}}
NOW = 1_700_000_000


def translated(body: JsonObject, **options: Any) -> JsonObject:
    completion = translate_response(body, model="gemini-x", created=NOW, **options)
    check_answer(completion)
    return completion


def message(body: JsonObject, **options: Any) -> JsonObject:
    found: JsonObject = translated(body, **options)["choices"][0]["message"]
    return found


def test_a_text_in_several_parts_is_one() -> None:
    completion = translated(answer({"text": "Hel"}, {"text": "lo"}))

    assert completion == {
        "id": "chatcmpl-r1",
        "object": "chat.completion",
        "created": NOW,
        "model": "gemini-x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }


WORDS = {
    "STOP": "stop",
    "NO_IMAGE": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
FAILURES = [
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
]


@pytest.mark.parametrize(
    ("reason", "word"), [*WORDS.items(), (None, "stop"), ("INVENTED_TOMORROW", "content_filter")]
)
def test_finish_reason(reason: str | None, word: str) -> None:
    completion = translated(answer({"text": "x"}, reason=reason))

    choice = completion["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == (word, "x")


@pytest.mark.parametrize("reason", FAILURES)
def test_a_model_that_failed_has_not_answered(reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^{reason}: bad call$"):
        translated(answer(reason=reason, finishMessage="bad call"))


def test_every_finish_reason_that_google_knows_is_above() -> None:
    assert {reason.value for reason in FinishReason} == {*WORDS, *FAILURES}


def test_calls_without_id_get_one_each() -> None:
    body = answer(CALL, {"functionCall": {"name": "clock"}})

    first, again = translated(body), translated(body)

    one, two = first["choices"][0]["message"]["tool_calls"]
    assert first == again
    assert first["choices"][0]["finish_reason"] == "tool_calls"
    assert first["choices"][0]["message"]["content"] is None
    assert one["function"] == {"name": "weather", "arguments": '{"city":"Köln"}'}
    assert two["function"] == {"name": "clock", "arguments": "{}"}
    assert one["id"] != two["id"]
    assert one["id"].startswith("call_")


def test_ids_differ_between_answers() -> None:
    ids = {
        message({**answer(CALL), "responseId": response})["tool_calls"][0]["id"]
        for response in ("r1", "r2")
    }

    assert len(ids) == 2


def test_googles_own_call_id_is_kept() -> None:
    own = {"functionCall": {"id": "own", "name": "clock"}}

    assert message(answer(own))["tool_calls"][0]["id"] == "own"


def test_a_call_cut_off_is_no_reason_to_call() -> None:
    assert translated(answer(CALL, reason="MAX_TOKENS"))["choices"][0]["finish_reason"] == "length"


def test_thoughts_and_signatures() -> None:
    found = message(
        answer(
            {"text": "hm ", "thought": True},
            {"text": "so", "thought": True},
            {"text": "42"},
            {"text": "", "thoughtSignature": "QUJD"},
            {**CALL, "thoughtSignature": "REVG"},
        )
    )

    assert found["reasoning_content"] == "hm so"
    assert found["content"] == "42"
    assert found["extra_content"] == {"google": {"thought_signature": "QUJD"}}
    assert found["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "REVG"}}


def test_code_that_gemini_ran_is_passed_over_and_images_are_kept() -> None:
    found = message(
        answer(
            {"executableCode": {"language": "PYTHON", "code": "1+1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
            {"text": "two"},
            {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
        )
    )

    assert found["content"] == "two"
    assert found["images"] == [
        {"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    ]


def test_several_candidates_are_several_choices() -> None:
    body = answer({"text": "a"})
    body["candidates"].append({"content": {"parts": [CALL]}, "finishReason": "STOP", "index": 1})

    choices = translated(body)["choices"]

    assert [choice["index"] for choice in choices] == [0, 1]
    assert [choice["finish_reason"] for choice in choices] == ["stop", "tool_calls"]


@pytest.mark.parametrize(
    ("feedback", "refusal"),
    [
        ({"blockReason": "SAFETY"}, "The prompt was blocked by Gemini (SAFETY)."),
        ({"blockReason": "OTHER", "blockReasonMessage": "No."}, "No."),
    ],
)
def test_a_blocked_prompt_is_a_refusal(feedback: JsonObject, refusal: str) -> None:
    completion = translated(
        {"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 9}, "responseId": "r"}
    )

    choice = completion["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": refusal}
    assert completion["usage"]["prompt_tokens"] == 9


@pytest.mark.parametrize("content", [None, {}, {"role": "model"}, {"parts": []}])
def test_an_answer_that_safety_ate_is_a_refusal(content: JsonObject | None) -> None:
    found = message(answer(reason="SAFETY", content=content))

    assert (found["content"], found["refusal"]) == (
        None,
        "The answer was withheld by Gemini (SAFETY).",
    )


def test_an_answer_that_thinking_ate_is_empty() -> None:
    choice = translated(answer(reason="MAX_TOKENS", content={"role": "model"}))["choices"][0]

    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": []},
        {"candidates": {}},
        {"candidates": [5]},
        {"candidates": [{}]},
        answer({"text": 5}),
        answer({"functionCall": {}}),
        answer({"functionCall": {"name": "f", "args": []}}),
        answer({"inlineData": {"data": "x"}}),
        answer(reason="STOP", content=[]),
        {**answer({"text": "x"}), "candidates": [{"finishReason": 5}]},
        answer({"text": "x"}, logprobsResult={"chosenCandidates": [{"logProbability": "x"}]}),
        answer({"functionCall": {"name": "f", "args": {"x": float("inf")}}}),
    ],
)
def test_rubbish_is_no_answer(body: JsonObject) -> None:
    with pytest.raises(ValueError, match=r"."):
        translate_response(body, model="m", created=NOW)


def form(**fields: Any) -> AnswerForm:
    return AnswerForm.of(check_chat_request({"model": "m", "messages": [USER], **fields}))


def test_a_client_that_wants_one_call_at_a_time_gets_the_first() -> None:
    body = answer({"functionCall": {"name": "a"}}, {"functionCall": {"name": "b"}})

    found = message(body, form=form(tools=[CLOCK], parallel_tool_calls=False))

    assert [call["function"]["name"] for call in found["tool_calls"]] == ["a"]


def test_a_legacy_client_gets_the_legacy_field() -> None:
    body = answer({"functionCall": {"name": "a"}}, {"functionCall": {"name": "b"}})

    choice = translated(body, form=form(functions=[CLOCK["function"]]))["choices"][0]

    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "a", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]


def test_logprobs() -> None:
    body = answer(
        {"text": "é!"},
        logprobsResult={
            "chosenCandidates": [
                {"token": "é", "tokenId": 5, "logProbability": -0.5},
                {"token": "!", "logProbability": -1},
            ],
            "topCandidates": [{"candidates": [{"token": "e", "logProbability": -2.5}]}],
        },
    )

    assert translated(body)["choices"][0]["logprobs"] == {
        "content": [
            {
                "token": "é",
                "logprob": -0.5,
                "bytes": [195, 169],
                "top_logprobs": [{"token": "e", "logprob": -2.5, "bytes": [101]}],
            },
            {"token": "!", "logprob": -1.0, "bytes": [33], "top_logprobs": []},
        ],
        "refusal": None,
    }


def test_sources_point_to_characters_of_the_content() -> None:
    body = answer(
        {"text": "hm", "thought": True},
        {"text": "Grüße. "},
        {"text": "Köln ist schön."},
        groundingMetadata={
            "webSearchQueries": ["köln"],
            "groundingChunks": [
                {"retrievedContext": {}},
                {"web": {"uri": "https://example.org", "title": "Köln"}},
            ],
            "groundingSupports": [
                {
                    "segment": {"partIndex": 2, "startIndex": 0, "endIndex": 5},
                    "groundingChunkIndices": [0, 1],
                }
            ],
        },
        citationMetadata={
            "citations": [
                {"startIndex": 0, "endIndex": 7, "uri": "https://example.com", "license": "MIT"}
            ]
        },
    )

    found = message(body)

    citations = [annotation["url_citation"] for annotation in found["annotations"]]
    assert [
        (cited["url"], cited["title"], found["content"][cited["start_index"] : cited["end_index"]])
        for cited in citations
    ] == [("https://example.com", "", "Grüße"), ("https://example.org", "Köln", "Köln")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ("x", None),
        ({}, None),
        ({"promptTokenCount": "5"}, None),
        ({"promptTokenCount": 5}, TokenUsage(prompt_tokens=5, completion_tokens=0)),
        ({"promptTokenCount": 5.0}, TokenUsage(prompt_tokens=5, completion_tokens=0)),
        ({"candidatesTokenCount": 5}, None),
        # The total is the sum of all, whatever is left out of the rest or within it.
        (
            {
                "promptTokenCount": 5,
                "candidatesTokenCount": 9,
                "thoughtsTokenCount": 4,
                "totalTokenCount": 14,
            },
            TokenUsage(prompt_tokens=5, completion_tokens=9, reasoning_tokens=4),
        ),
        (
            {"promptTokenCount": 5, "totalTokenCount": 30},
            TokenUsage(prompt_tokens=5, completion_tokens=25),
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 9, "totalTokenCount": 6},
            TokenUsage(prompt_tokens=5, completion_tokens=9),
        ),
        (
            {
                "promptTokenCount": 100,
                "toolUsePromptTokenCount": 10,
                "cachedContentTokenCount": 80,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 300,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 60},
                    {"modality": "AUDIO", "tokenCount": 40},
                ],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}, 5],
            },
            TokenUsage(
                prompt_tokens=110,
                completion_tokens=320,
                cached_tokens=80,
                reasoning_tokens=300,
                prompt_audio_tokens=40,
                completion_audio_tokens=3,
            ),
        ),
        (
            {"promptTokenCount": 5, "cachedContentTokenCount": 9, "candidatesTokenCount": -1},
            TokenUsage(prompt_tokens=5, completion_tokens=0, cached_tokens=5),
        ),
    ],
)
def test_usage(usage: Any, expected: TokenUsage | None) -> None:
    assert read_usage({"usageMetadata": usage}) == expected
