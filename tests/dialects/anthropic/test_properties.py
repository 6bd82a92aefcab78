"""What holds for every request that passes our check, and for whatever a provider sends."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_core.dialects.anthropic.estimate import estimate_tokens
from nexus_core.dialects.anthropic.models import read_models
from nexus_core.dialects.anthropic.request import translate_request
from nexus_core.dialects.anthropic.response import read_usage, translate_error, translate_response
from nexus_core.dialects.anthropic.stream import AnthropicStream
from nexus_core.dialects.anthropic.tool_ids import to_anthropic_id
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import SseEvent, SseParser
from nexus_core.errors import UnsupportedFieldsError
from tests.dialects.anthropic.build import PDF, PNG
from tests.dialects.anthropic.sdk import check_chunk, check_completion, check_request

SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck))

TEXT = st.sampled_from(["", " ", "\n", "hi", "So ", "{}", '{"a": 1}', "[]", "grüß 🦊"]) | st.text(
    max_size=6
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
NAMES = st.sampled_from(["f", "look_up", "a.b", "x y"])
IDS = st.sampled_from(["call_0", "functions.f:0", "toolu_1", "nx-abc", " "]) | st.text(min_size=1)
MARKER = st.none() | st.sampled_from([{}, {"type": "ephemeral"}, {"ttl": "1h"}, {"ttl": []}])

KEYWORDS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
        "enum",
        "const",
        "$ref",
        "$defs",
        "required",
        "minimum",
        "format",
        "minItems",
        "description",
        "additionalProperties",
    ]
)
KINDS = st.sampled_from(["object", "array", "string", "null", "number", "rubbish"])
SCHEMAS = st.recursive(
    st.dictionaries(KEYWORDS, KINDS | st.lists(KINDS, max_size=2) | SCALARS, max_size=4),
    lambda inner: st.dictionaries(
        KEYWORDS,
        inner | KINDS | st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
        max_size=4,
    ),
    max_leaves=6,
)


def fields(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Each field present, null or absent, unless it begins with an underscore: always present."""
    required = {name[1:]: kind for name, kind in strategies.items() if name.startswith("_")}
    optional = {name: kind for name, kind in strategies.items() if not name.startswith("_")}
    return st.fixed_dictionaries(
        required, optional={name: st.none() | kind for name, kind in optional.items()}
    )


URLS = st.sampled_from(
    [f"data:image/png;base64,{PNG}", "data:text/plain,hi", "https://e.org/a.png", "data:", "x"]
) | st.text(max_size=9)
MARKED = {"cache_control": MARKER, "prompt_cache_breakpoint": MARKER}
TEXT_PARTS = fields(_type=st.just("text"), _text=TEXT, **MARKED)
IMAGE_PARTS = fields(
    _type=st.just("image_url"), _image_url=fields(_url=URLS, detail=TEXT), **MARKED
)
FILE_PARTS = fields(
    _type=st.just("file"),
    _file=fields(
        file_data=URLS | st.sampled_from([PDF, PNG, "AAAA"]),
        file_id=st.sampled_from(["file-1", "file_1"]),
        filename=st.sampled_from(["a.pdf", "a.txt", "a"]),
    ),
    **MARKED,
)
AUDIO_PARTS = fields(_type=st.just("input_audio"), _input_audio=fields(_data=TEXT, _format=TEXT))
PARTS = TEXT_PARTS | IMAGE_PARTS | FILE_PARTS
REFUSALS = fields(_type=st.just("refusal"), _refusal=TEXT)
THINKING = st.lists(
    st.sampled_from(
        [
            {"type": "thinking", "thinking": "hm", "signature": "s", "text_before": 1},
            {"type": "redacted_thinking", "data": "x", "calls_before": 1, "text_before": 9},
            {"type": "thinking", "thinking": 5},
        ]
    )
    | JSON,
    max_size=3,
)
CALLS = fields(
    _id=IDS,
    type=st.just("function"),
    _function=fields(_name=NAMES, _arguments=TEXT),
    extra_content=OBJECTS | THINKING.map(lambda blocks: {"anthropic": {"thinking_blocks": blocks}}),
)
CUSTOM_CALLS = fields(_id=IDS, _type=st.just("custom"), _custom=fields(_name=NAMES, _input=TEXT))
MESSAGES = st.one_of(
    fields(
        _role=st.sampled_from(["system", "developer"]),
        _content=TEXT | st.lists(TEXT_PARTS, max_size=2),
        name=TEXT,
    ),
    fields(
        _role=st.just("user"),
        _content=TEXT | st.lists(PARTS | AUDIO_PARTS, max_size=3),
        cache_control=MARKER,
    ),
    fields(
        _role=st.just("assistant"),
        content=TEXT | st.lists(TEXT_PARTS | REFUSALS, max_size=3),
        refusal=TEXT,
        tool_calls=st.lists(CALLS | CUSTOM_CALLS, max_size=3),
        function_call=fields(_name=NAMES, _arguments=TEXT),
        reasoning_content=TEXT,
        thinking_blocks=THINKING | JSON,
        audio=OBJECTS,
    ),
    fields(
        _role=st.just("tool"),
        _tool_call_id=IDS,
        _content=TEXT | st.lists(PARTS, max_size=2),
    ),
    fields(_role=st.just("function"), _name=NAMES, content=TEXT),
)
FUNCTIONS = fields(
    _name=NAMES, description=TEXT, parameters=SCHEMAS | OBJECTS, strict=st.booleans()
)
TOOLS = fields(_type=st.just("function"), _function=FUNCTIONS, cache_control=MARKER)
REQUESTS = fields(
    _model=st.just("m"),
    _messages=st.lists(MESSAGES, min_size=1, max_size=5),
    stream=st.booleans(),
    max_tokens=st.integers(1, 10**6),
    max_completion_tokens=st.integers(1, 3_000),
    temperature=st.floats(0, 2) | st.integers(0, 2),
    top_p=st.floats(0, 1),
    top_k=st.integers(0, 99),
    n=st.integers(1, 2),
    stop=TEXT | st.lists(TEXT, max_size=2),
    seed=st.integers(),
    logit_bias=st.dictionaries(TEXT, st.floats(-1, 1), max_size=1),
    response_format=st.sampled_from([{"type": "text"}, {"type": "json_object"}])
    | fields(
        _type=st.just("json_schema"),
        _json_schema=fields(_name=st.just("n"), schema=SCHEMAS | OBJECTS),
    ),
    tools=st.lists(TOOLS, max_size=2),
    functions=st.lists(FUNCTIONS, max_size=1),
    tool_choice=st.sampled_from(["none", "auto", "required"])
    | fields(_type=st.just("function"), _function=fields(_name=NAMES))
    | fields(
        _type=st.just("allowed_tools"),
        _allowed_tools=fields(
            _mode=st.sampled_from(["auto", "required"]),
            _tools=st.lists(
                OBJECTS | st.just({"type": "function", "function": {"name": "f"}}), max_size=2
            ),
        ),
    ),
    function_call=st.sampled_from(["none", "auto", {"name": "f"}]),
    parallel_tool_calls=st.booleans(),
    reasoning_effort=st.sampled_from(["none", "minimal", "low", "high", "xhigh", "max", "x"]),
    thinking=JSON
    | st.sampled_from(
        [
            {"type": "adaptive"},
            {"type": "enabled", "budget_tokens": 1_024},
            {"type": "adaptive", "display": None},
            {"type": "enabled", "budget_tokens": True},
        ]
    ),
    metadata=OBJECTS | st.just({"user_id": "a1"}),
    user=TEXT,
    cache_control=JSON,
    safety_identifier=JSON,
    unheard_of=JSON,
)
MODELS = st.sampled_from(
    [
        "claude-opus-5-5",
        "claude-sonnet-5-5",
        "claude-opus-5",
        "claude-opus-4-8",
        "claude-sonnet-4-6",
        "claude-haiku-4-5",
        "claude-sonnet-4-0",
        "claude-3-haiku-20240307",
        "claude-2.1",
        "glm-5",
    ]
)


@SLOW
@given(request=REQUESTS, model=MODELS, reject_hints=st.booleans())
def test_a_checked_request_is_translated_or_a_422(
    request: dict[str, Any], model: str, reject_hints: bool
) -> None:
    checked = check_chat_request(request)
    before = json.dumps(request)

    with contextlib.suppress(UnsupportedFieldsError):
        translation = translate_request(checked, model, reject_hints=reject_hints)
        check_request(translation.body)
        check_rules(translation.body)
        budget = translation.body.get("thinking", {}).get("budget_tokens")
        if budget is not None and request.get("thinking") is None:
            assert 1_024 <= budget < translation.body["max_tokens"]
        assert estimate_tokens(translation.body) >= 0
        assert not (reject_hints and translation.dropped)

    assert json.dumps(request) == before


def check_rules(body: dict[str, Any]) -> None:
    """What the provider refuses and its types don't say."""
    roles = [message["role"] for message in body["messages"]]
    assert all(role != after for role, after in itertools.pairwise(roles))
    for message in body["messages"]:
        kinds = [block["type"] for block in message["content"]]
        assert kinds
        assert "tool_result" not in kinds[kinds.count("tool_result") :]
        assert kinds[-1] not in {"thinking", "redacted_thinking"}
        assert all(block["text"].strip() for block in message["content"] if "text" in block)
    used = [
        block["id"]
        for message in body["messages"]
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    assert len(used) == len(set(used))
    assert not used or body["tools"]
    assert ("tool_choice" not in body) or body["tools"]
    blocks = [block for message in body["messages"] for block in message["content"]]
    marked = [*body.get("tools", []), *body.get("system", []), *blocks, body]
    assert sum("cache_control" in block for block in marked) <= 4
    budget = body.get("thinking", {}).get("budget_tokens")
    assert budget is None or "top_k" not in body


@SLOW
@given(st.lists(IDS | st.text(), max_size=9))
def test_different_ids_stay_different(ids: list[str]) -> None:
    mapped = [to_anthropic_id(each) for each in ids]

    assert len(set(mapped)) == len(set(ids))
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", each) for each in mapped if each)


WHOLE_ANSWER = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Hello", "citations": [{"url": "https://e.org", "title": "E"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "refusal",
    "stop_details": {"category": "bio"},
    "usage": {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {}},
}
EVENTS = [
    json.loads(event.data)
    for path in sorted((Path(__file__).parents[2] / "data" / "anthropic").glob("*.sse"))
    for event in SseParser().feed(path.read_bytes())
]


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with something in it left out or replaced by anything."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        return rest if draw(st.booleans()) else {**rest, key: draw(mutated(value[key]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(mutated(value[at])), *value[at + 1 :]]
    return draw(JSON)


@SLOW
@given(answer=mutated(WHOLE_ANSWER), legacy=st.booleans())
def test_any_answer_is_translated_or_rubbish(answer: Any, legacy: bool) -> None:
    if not isinstance(answer, dict):
        answer = {"content": answer}

    with contextlib.suppress(ValueError):
        check_completion(translate_response(answer, model="m", created=1, legacy_functions=legacy))


@SLOW
@given(data=st.data(), legacy=st.booleans())
def test_any_stream_is_translated_or_fails_by_name(data: st.DataObject, legacy: bool) -> None:
    events = data.draw(st.lists(st.sampled_from(EVENTS), max_size=12))
    events = [
        data.draw(mutated(event)) if data.draw(st.integers(0, 4)) == 0 else event
        for event in events
    ]
    translator = AnthropicStream(model="m", created=1, include_usage=True, legacy_functions=legacy)

    with contextlib.suppress(StreamFailedError, ValueError):
        for event in [EVENTS[0], *events]:
            for chunk in translator.feed(SseEvent("message", json.dumps(event))):
                check_chunk(chunk)

    assert translator.usage is None or translator.usage.prompt_tokens >= 0


@SLOW
@given(status=st.integers(400, 599), body=st.binary() | JSON.map(json.dumps).map(str.encode))
def test_any_error_becomes_an_envelope(status: int, body: bytes) -> None:
    same, envelope = translate_error(status, body)

    assert same == status
    assert set(envelope["error"]) == {"message", "type", "param", "code"}
    assert envelope["error"]["message"]


@SLOW
@given(page=OBJECTS | mutated({"data": [{"id": "m"}], "has_more": True, "last_id": "m"}))
def test_any_page_is_a_list_of_models_or_rubbish(page: Any) -> None:
    with contextlib.suppress(ValueError):
        names, after = read_models(page if isinstance(page, dict) else {"data": page})
        assert all(isinstance(name, str) and name for name in names)
        assert after is None or (names and after)


@pytest.mark.parametrize("usage", [None, [], {"output_tokens": "x"}])
def test_usage_that_is_none_is_none(usage: Any) -> None:
    assert read_usage(usage) is None
