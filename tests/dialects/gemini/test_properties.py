from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_core.dialects.gemini import (
    FALLBACK_MODELS,
    AnswerForm,
    GoogleStream,
    estimate_tokens,
    translate_error,
    translate_request,
    translate_response,
)
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import SseEvent
from nexus_core.errors import UnsupportedFieldsError
from nexus_core.types import JsonObject
from tests.dialects.gemini.bodies import PNG, answer
from tests.dialects.gemini.oracles import check_answer, check_body, check_chunk

UNTIMED = settings(deadline=None)  # the SDKs build their types with the first example

NAMES = st.sampled_from(["f", "g", "weather"])
IDS = st.sampled_from(["a", "b", "functions.f:0"])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, JSON_VALUES, max_size=3)
LINKS = [
    "https://a.b/c.png",
    "http://a.b",
    "data:,",
    f"data:image/png;base64,{PNG}",
    "data:;base64,é",
]
URLS = st.sampled_from(LINKS) | TEXTS.map(lambda text: f"data:{text}") | TEXTS


def fields(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


TEXT_PARTS = st.fixed_dictionaries(
    {"type": st.just("text"), "text": TEXTS}, optional={"cache_control": OBJECTS}
)
IMAGE_PARTS = st.fixed_dictionaries(
    {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": URLS})}
)
FILE_PARTS = st.fixed_dictionaries(
    {
        "type": st.just("file"),
        "file": fields(file_data=URLS, file_id=TEXTS, filename=TEXTS | st.just("a.pdf")),
    }
)
AUDIO_PARTS = st.fixed_dictionaries(
    {
        "type": st.just("input_audio"),
        "input_audio": st.fixed_dictionaries(
            {"data": TEXTS | st.just("QUJD"), "format": TEXTS | st.just("wav")}
        ),
    }
)
REFUSAL_PARTS = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": TEXTS})
SIGNATURES = st.none() | OBJECTS | TEXTS.map(lambda text: {"google": {"thought_signature": text}})
FUNCTION_CALLS = st.fixed_dictionaries(
    {"name": NAMES, "arguments": TEXTS | JSON_VALUES.map(json.dumps)}
)
TOOL_CALLS = st.fixed_dictionaries(
    {"id": IDS, "type": st.just("function"), "function": FUNCTION_CALLS},
    optional={"extra_content": SIGNATURES},
) | st.fixed_dictionaries(
    {
        "id": IDS,
        "type": st.just("custom"),
        "custom": st.fixed_dictionaries({"name": NAMES, "input": TEXTS}),
    }
)


def role(word: str, content: st.SearchStrategy[Any], **more: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"role": st.just(word), "content": content, **more})


MESSAGES = st.one_of(
    role("system", TEXTS | st.lists(TEXT_PARTS, max_size=2)),
    role(
        "user",
        TEXTS | st.lists(TEXT_PARTS | IMAGE_PARTS | FILE_PARTS | AUDIO_PARTS, max_size=3),
    ),
    st.fixed_dictionaries(
        {"role": st.just("assistant")},
        optional={
            "content": st.none() | TEXTS | st.lists(TEXT_PARTS | REFUSAL_PARTS, max_size=2),
            "refusal": st.none() | TEXTS,
            "tool_calls": st.none() | st.lists(TOOL_CALLS, max_size=3),
            "function_call": st.none() | FUNCTION_CALLS,
            "reasoning_content": TEXTS,
            "extra_content": SIGNATURES,
        },
    ),
    role(
        "tool",
        TEXTS | st.lists(TEXT_PARTS | IMAGE_PARTS | FILE_PARTS, max_size=2),
        tool_call_id=IDS,
    ),
    role("function", st.none() | TEXTS, name=NAMES),
)
FUNCTIONS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"description": TEXTS, "parameters": OBJECTS, "strict": st.booleans()},
)
TOOLS = st.fixed_dictionaries({"type": st.just("function"), "function": FUNCTIONS})
NAMED = st.fixed_dictionaries({"name": NAMES})
CHOICES = st.one_of(
    st.sampled_from(["none", "auto", "required"]),
    st.fixed_dictionaries({"type": st.just("function"), "function": NAMED}),
    st.fixed_dictionaries({"type": st.just("custom"), "custom": NAMED}),
    st.fixed_dictionaries(
        {
            "type": st.just("allowed_tools"),
            "allowed_tools": st.fixed_dictionaries(
                {
                    "mode": st.sampled_from(["auto", "required"]),
                    "tools": st.lists(TOOLS | OBJECTS, max_size=2),
                }
            ),
        }
    ),
)
FORMATS = st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | st.fixed_dictionaries(
    {
        "type": st.just("json_schema"),
        "json_schema": st.fixed_dictionaries({"name": NAMES}, optional={"schema": OBJECTS}),
    }
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(MESSAGES, min_size=1, max_size=6)},
    optional={
        "max_tokens": st.integers(1),
        "max_completion_tokens": st.none() | st.integers(1),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(0),
        "n": st.integers(1, 10),
        "stop": TEXTS | st.lists(TEXTS, max_size=6),
        "seed": st.integers(),
        "frequency_penalty": st.floats(allow_nan=False, allow_infinity=False),
        "logit_bias": st.dictionaries(TEXTS, st.floats(-1, 1), max_size=2),
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(0, 20),
        "response_format": FORMATS,
        "tools": st.lists(TOOLS, max_size=3),
        "tool_choice": CHOICES,
        "parallel_tool_calls": st.booleans(),
        "functions": st.lists(FUNCTIONS, max_size=2),
        "function_call": st.sampled_from(["none", "auto"]) | NAMED,
        "reasoning_effort": TEXTS | st.sampled_from(["none", "low", "max"]),
        "modalities": st.lists(st.sampled_from(["text", "audio"]), max_size=2),
        "prediction": OBJECTS,
        "web_search_options": OBJECTS,
        "unheard_of": JSON_VALUES,
    },
)
MODELS = st.sampled_from([*FALLBACK_MODELS, "gemini-2.0-flash", "gemma-3", "tomorrow"])


@UNTIMED
@given(request=REQUESTS, model=MODELS, reject_hints=st.booleans())
def test_a_checked_request_is_translated_or_refused(
    request: JsonObject, model: str, reject_hints: bool
) -> None:
    checked = check_chat_request(request)
    before = json.dumps(request)

    try:
        translation = translate_request(checked, model, reject_hints=reject_hints)
    except UnsupportedFieldsError:
        pass
    else:
        check_body(translation.body)
        assert estimate_tokens(translation.body) >= 0
        assert not (reject_hints and translation.dropped)
    assert json.dumps(request) == before  # another backend may be next


GOOD_IMAGES = st.just({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})


@st.composite
def good_conversations(draw: st.DrawFn) -> list[JsonObject]:
    """A history in which every call has its result, in any order."""
    messages: list[JsonObject] = [{"role": "user", "content": "hi"}]
    for turn in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            messages.append(draw(role("developer", TEXTS)))
        functions = draw(st.lists(FUNCTION_CALLS, max_size=3))
        called = [
            {
                "id": f"functions.f:{turn}.{number}",
                "function": function,
                "extra_content": draw(SIGNATURES),
            }
            for number, function in enumerate(functions)
        ]
        messages.append({"role": "assistant", "content": draw(TEXTS), "tool_calls": called})
        for each in draw(st.permutations(called)):
            content = draw(TEXTS | st.lists(TEXT_PARTS | GOOD_IMAGES, max_size=2))
            messages.append({"role": "tool", "tool_call_id": each["id"], "content": content})
        if draw(st.booleans()):
            messages.append(
                draw(role("user", TEXTS | st.lists(TEXT_PARTS | GOOD_IMAGES, max_size=2)))
            )
    return messages


GOOD_REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": good_conversations()},
    optional={
        "max_tokens": st.integers(1),
        "temperature": st.floats(0, 2),
        "top_k": st.integers(0),
        "n": st.integers(1, 8),
        "stop": TEXTS | st.lists(TEXTS, max_size=5),
        "seed": st.integers(),
        "presence_penalty": st.floats(-2, 2),
        "response_format": FORMATS,
        "tools": st.lists(TOOLS, max_size=3),
        "tool_choice": st.sampled_from(["none", "auto"]),
        "parallel_tool_calls": st.booleans(),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "max"]),
        "user": TEXTS,
    },
)


@UNTIMED
@given(request=GOOD_REQUESTS, model=st.sampled_from(["gemini-3.8-flash", "tomorrow"]))
def test_what_gemini_can_do_is_never_refused(request: JsonObject, model: str) -> None:
    translation = translate_request(check_chat_request(request), model)

    check_body(translation.body)
    contents = translation.body["contents"]
    for said, answered in zip(contents, [*contents[1:], {"parts": []}], strict=True):
        calls = [part["functionCall"] for part in said["parts"] if "functionCall" in part]
        results = [each["functionResponse"] for each in answered["parts"][: len(calls)]]
        assert [call["id"] for call in calls] == [result["id"] for result in results]
        assert [call["name"] for call in calls] == [result["name"] for result in results]


ANSWERS: list[JsonObject] = [
    answer(
        {"text": "hm", "thought": True},
        {"text": "a", "thoughtSignature": "QUJD"},
        {"functionCall": {"name": "f", "args": {"x": [1]}}, "thoughtSignature": "QUJD"},
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
        logprobsResult={
            "chosenCandidates": [{"token": "a", "logProbability": -1.5}],
            "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2}]}],
        },
        groundingMetadata={
            "groundingChunks": [{"web": {"uri": "https://example.org", "title": "E"}}],
            "groundingSupports": [
                {
                    "segment": {"partIndex": 1, "startIndex": 0, "endIndex": 1},
                    "groundingChunkIndices": [0],
                }
            ],
        },
        citationMetadata={"citations": [{"startIndex": 0, "endIndex": 1, "uri": "https://a.b"}]},
    ),
    answer(reason="SAFETY", finishMessage="no"),
    {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}},
    {"error": {"code": 503, "message": "no", "status": "UNAVAILABLE", "details": [{}]}},
]


@st.composite
def mutated(draw: st.DrawFn) -> JsonObject:
    """An answer of which one or two values are something else, or gone."""
    body: Any = json.loads(json.dumps(draw(st.sampled_from(ANSWERS))))
    for _ in range(draw(st.integers(1, 2))):
        place = body
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.integers(0, 3)):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(JSON_VALUES)
            else:
                del place[key]
            break
    return body  # type: ignore[no-any-return]


FORMS = st.builds(AnswerForm, one_call=st.booleans(), as_function_call=st.booleans())


@UNTIMED
@given(body=mutated(), form=FORMS)
def test_an_answer_of_anything_is_an_answer_or_a_value_error(
    body: JsonObject, form: AnswerForm
) -> None:
    try:
        completion = translate_response(body, model="m", created=1, form=form)
    except ValueError:
        return
    check_answer(completion)


@UNTIMED
@given(bodies=st.lists(mutated(), min_size=1, max_size=3), form=FORMS)
def test_a_stream_of_anything_is_chunks_or_a_failure(
    bodies: list[JsonObject], form: AnswerForm
) -> None:
    stream = GoogleStream(model="m", created=1, include_usage=True, form=form)
    chunks: list[JsonObject] = []

    with contextlib.suppress(ValueError, StreamFailedError):
        for body in bodies:
            chunks += stream.feed(SseEvent("message", json.dumps(body)))
        chunks += stream.finish()

    for chunk in chunks:
        check_chunk(chunk)


@UNTIMED
@given(status=st.integers(400, 599), body=mutated() | JSON_VALUES)
def test_an_error_of_anything_is_an_envelope(status: int, body: object) -> None:
    answered, envelope = translate_error(status, json.dumps(body).encode())

    assert answered in (status, 401)
    assert isinstance(envelope["error"]["message"], str)
    assert isinstance(envelope["error"]["type"], str)
