"""A whole answer in the common form is read as any answer is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_core.dialects.base.report import AnswerReading
from nexus_core.dialects.openai_chat.answers import _read_carefully, read_answer
from nexus_core.dialects.openai_chat.plain_answer import read_plain_answer
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.plain_usage import MAX_TOKENS
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import Operation

CHAT = read_request(Operation.CHAT, b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
EMBEDDINGS = read_request(Operation.EMBEDDINGS, b'{"model":"m","input":"hi"}')
NONE_ASKED = read_request(Operation.EMBEDDINGS, b'{"model":"m","input":[]}')
REQUESTS = st.sampled_from([CHAT, EMBEDDINGS, NONE_ASKED])

COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(-1, 30),
    st.sampled_from(
        [None, True, False, 2.0, 1.5, "3", [], {}, MAX_TOKENS, MAX_TOKENS + 1, 10**30, float("nan")]
    ),
)
SMALL = st.integers(0, 4)


def _details(counts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = ["cached_tokens", "reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "x"]
    return st.none() | st.dictionaries(st.sampled_from(names), counts, max_size=3)


def _usages(counts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"prompt_tokens": counts},
        optional={
            "completion_tokens": counts,
            "total_tokens": counts | st.integers(0, 8),
            "prompt_tokens_details": _details(counts),
            "completion_tokens_details": _details(counts),
            "cost": counts,
            "cached_tokens": counts,
            "input_tokens": counts,
        },
    )


CHOICES = st.one_of(
    st.just({"index": 0, "message": {"content": "é"}, "finish_reason": "stop"}),
    st.fixed_dictionaries(
        {},
        optional={
            "index": COUNTS,
            "finish_reason": st.sampled_from([None, "", "stop", "error", 1, []]),
            "message": st.sampled_from([None, {}, {"content": "😀\ud800"}, "x"]),
            "usage": st.none() | _usages(SMALL),
            "error": st.sampled_from([None, {"message": "no"}]),
        },
    ),
    st.sampled_from([None, "x", 0, []]),
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICES, max_size=3) | st.sampled_from([None, {}, "x"]),
        "data": st.lists(CHOICES, max_size=2) | st.sampled_from([None, {}]),
        "usage": st.one_of(_usages(SMALL), _usages(COUNTS), st.sampled_from([None, [], 3])),
        "service_tier": st.sampled_from([None, "flex", 3, ""]),
        "error": st.sampled_from([None, {}, "bad", {"message": "bad", "code": 500}]),
        "x_groq": st.just({"usage": {"prompt_tokens": 5, "completion_tokens": 6}}),
        "prompt_eval_count": COUNTS,
        "timings": st.just({"prompt_n": 3, "predicted_n": 4}),
        "logprobs": st.sampled_from([float("nan"), float("inf"), 1e999, 10**40, "\ud83d"]),
        "message": st.just("went wrong"),
        "status": st.just("failed"),
    },
)


GOOD = {"index": 0, "message": {"content": "é \\ud83d 1.5 {"}, "finish_reason": "stop"}


def _with_total(usage: dict[str, Any]) -> dict[str, Any]:
    return {**usage, "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"]}


IN_OPENAIS_FORM = st.builds(
    _with_total,
    st.fixed_dictionaries(
        {"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9)},
        optional={
            "prompt_tokens_details": _details(SMALL),
            "completion_tokens_details": _details(SMALL),
        },
    ),
)
COMMON = st.fixed_dictionaries(
    {"choices": st.lists(st.just(GOOD) | CHOICES, min_size=1, max_size=2)},
    optional={
        "usage": IN_OPENAIS_FORM,
        "data": st.just([{"index": 0, "embedding": [1.5]}]),
        "service_tier": st.sampled_from([None, "flex"]),
        "error": st.sampled_from([None, {"message": "bad", "code": 500}]),
        "x_groq": st.just({"usage": {"prompt_tokens": 5, "completion_tokens": 6}}),
        "id": st.sampled_from(["é", 1e10, {"usage": {}, "choices": []}]),
    },
) | st.fixed_dictionaries(
    {"data": st.just([{"index": 0, "embedding": [1.5]}])},
    optional={"usage": _usages(SMALL), "choices": st.none(), "error": st.none()},
)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """An answer as some server writes it; at times with bytes taken out, put in or changed."""
    ascii_only, blanks = draw(st.booleans()), draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    text = json.dumps(
        draw(draw(st.sampled_from([ANSWERS, COMMON, COMMON]))),
        ensure_ascii=ascii_only,
        separators=blanks,
    )
    body = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        at = draw(st.integers(0, len(body)))
        part = draw(
            st.sampled_from(
                [
                    *(b"", b'"', b"\\", b",", b"\xff", b"\xed\xa0\x80", b"0", b"{", b"]", b" \n"),
                    *(
                        b"\\ud800",
                        b'"usage":null,',
                        b'"choices":[],',
                        b"\x00",
                        b"\xc3",
                        b"-",
                        b".e",
                    ),
                ]
            )
        )
        body[at : at + draw(st.integers(0, 2))] = part
    encoding = draw(st.sampled_from(["", "", "", "", "", "utf-8-sig", "utf-16"]))
    return bytes(body).decode("utf-8", "replace").encode(encoding) if encoding else bytes(body)


def carefully(request: Request, body: bytes, *, wants_usage: bool) -> AnswerReading | str:
    try:
        return _read_carefully(request, body, wants_usage=wants_usage)
    except ValueError as error:
        return str(error)


def fast(request: Request, body: bytes, *, wants_usage: bool) -> AnswerReading | str:
    try:
        return read_answer(request, body, wants_usage=wants_usage)
    except ValueError as error:
        return str(error)


@given(REQUESTS, written(), st.booleans())
@example(CHAT, b'{"choices":[{"finish_reason":"stop","x":"\xff"}]}', False)
@example(CHAT, b'{"choices":[{"finish_reason":"stop","x":"\\ud800"}]}', False)
@example(CHAT, b'{"choices":[{"finish_reason":"stop","x":1.e5}]}', False)
@example(CHAT, b'{"choices":[{"finish_reason":"stop"}],"x":NaN}', False)
@example(CHAT, b'{"choices":[{"finish_reason":"stop"}],"choices":[]}', False)
@example(EMBEDDINGS, b'{"data":[{"index":0}],"choices":[],"usage":{"prompt_tokens":1}}', True)
def test_an_answer_is_read_fast_as_it_is_read_carefully(
    request: Request, body: bytes, wants_usage: bool
) -> None:
    assert fast(request, body, wants_usage=wants_usage) == carefully(
        request, body, wants_usage=wants_usage
    )


OPENAI = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 1},
    "completion_tokens_details": {
        "reasoning_tokens": 4,
        "audio_tokens": 2,
        "accepted_prediction_tokens": 1,
        "rejected_prediction_tokens": 1,
    },
}
COUNTED = TokenUsage(
    prompt_tokens=19,
    completion_tokens=10,
    cached_tokens=5,
    reasoning_tokens=4,
    prompt_audio_tokens=1,
    completion_audio_tokens=2,
)
VLLM = {
    "prompt_tokens": 3,
    "total_tokens": 7,
    "completion_tokens": 4,
    "prompt_tokens_details": None,
}


@pytest.mark.parametrize(
    ("usage", "counts"),
    [(OPENAI, COUNTED), (VLLM, TokenUsage(prompt_tokens=3, completion_tokens=4))],
)
def test_common_usages_are_read_without_a_second_look(
    usage: dict[str, Any], counts: TokenUsage
) -> None:
    choice = {"index": 0, "message": {"content": "é"}, "finish_reason": "stop"}
    answer = {"choices": [choice], "usage": usage, "service_tier": "flex"}
    body = json.dumps(answer, ensure_ascii=False).encode()

    assert read_plain_answer(Operation.CHAT, body, wants_usage=True) == AnswerReading(
        None, counts, "flex"
    )
    assert _read_carefully(CHAT, body, wants_usage=True).usage == counts


def test_embeddings_are_read_without_a_second_look() -> None:
    entry = {"object": "embedding", "index": 0, "embedding": [0.5, -1e-5]}
    answer = {"data": [entry], "usage": {"prompt_tokens": 8, "total_tokens": 9}}
    body = json.dumps(answer).encode()

    read = read_plain_answer(Operation.EMBEDDINGS, body, wants_usage=True)

    assert read == AnswerReading(usage=TokenUsage(prompt_tokens=8, completion_tokens=0))
