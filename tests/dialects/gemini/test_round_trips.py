"""An answer goes to an `openai` client and comes back within its next request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletionMessage

from nexus_core.dialects.gemini import GoogleStream, translate_response
from nexus_core.dialects.sse import SseEvent
from nexus_core.types import JsonObject
from tests.dialects.gemini.bodies import USER, answer, result, translate
from tests.dialects.gemini.oracles import check_answer, check_body

SIGNATURE = "Co4BAdHtim8sKx0pVxq9V0Wm2yQv"
CALLS: list[JsonObject] = [
    {
        "functionCall": {"name": "weather", "args": {"city": "Köln"}},
        "thoughtSignature": SIGNATURE,
    },
    {"functionCall": {"name": "weather", "args": {"city": "Paris"}}},
]


def as_whole(body: JsonObject) -> JsonObject:
    completion = check_answer(translate_response(body, model="m", created=1))
    return completion.choices[0].message.model_dump(exclude_none=True)


def as_stream(body: JsonObject) -> JsonObject:
    stream = GoogleStream(model="m", created=1, include_usage=False)
    chunks = stream.feed(SseEvent("message", json.dumps(body))) + stream.finish()
    message: dict[object, object] = {}
    for chunk in chunks:
        message = accumulate_delta(message, chunk["choices"][0]["delta"])
    return ChatCompletionMessage.model_validate(message).model_dump(exclude_none=True)


@pytest.mark.parametrize("client", [as_whole, as_stream])
def test_calls_their_ids_and_their_signature_over_two_turns(client: Any) -> None:
    message = client(answer({"text": "Let me see."}, *CALLS))
    first, second = (call["id"] for call in message["tool_calls"])

    body = translate(USER, message, result(second, "rain"), result(first, "sun")).body

    check_body(body)
    said, results = body["contents"][1]["parts"], body["contents"][2]["parts"]
    assert said == [
        {"text": "Let me see."},
        {**CALLS[0], "functionCall": {**CALLS[0]["functionCall"], "id": first}},
        {**CALLS[1], "functionCall": {**CALLS[1]["functionCall"], "id": second}},
    ]
    assert [
        (part["functionResponse"]["id"], part["functionResponse"]["response"]) for part in results
    ] == [(first, {"output": "sun"}), (second, {"output": "rain"})]


@pytest.mark.parametrize("client", [as_whole, as_stream])
def test_a_texts_signature_over_two_turns(client: Any) -> None:
    message = client(
        answer(
            {"text": "hm", "thought": True},
            {"text": "42"},
            {"text": "", "thoughtSignature": SIGNATURE},
        )
    )

    body = translate(USER, message, USER).body

    check_body(body)
    assert body["contents"][1]["parts"] == [{"text": "42", "thoughtSignature": SIGNATURE}]
