"""Errors in every vendor's shape: which status, which kind, which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.error_report import read_error_body, read_report
from nexus_core.dialects.openai_chat.additions import refuses_addition
from nexus_core.dialects.openai_chat.answers import read_failure
from nexus_core.proxy.judge.fault import FailureKind, Fault, judge_report
from nexus_core.types import Operation

FAILED, BUSY, ACCOUNT_BUSY = FailureKind.FAILED, FailureKind.BUSY, FailureKind.ACCOUNT_BUSY
NO_CREDIT, REFUSED_KEY = FailureKind.NO_CREDIT, FailureKind.REFUSED_KEY
FORBIDDEN, REFUSED_CONTENT = FailureKind.FORBIDDEN, FailureKind.REFUSED_CONTENT
TOO_LONG = FailureKind.TOO_LONG

CHAT, EMBEDDINGS = Operation.CHAT, Operation.EMBEDDINGS


def judge_whole(
    fields: dict[str, Any], operation: Operation = CHAT, asked: dict[str, Any] | None = None
) -> Fault | None:
    report = read_failure(fields, operation, asked)
    return None if report is None else judge_report(report, None, "m")


def judge_status(status: int, body: bytes, model: str) -> Fault:
    return judge_report(read_error_body(body), status, model)


def e(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


# Bodies under a 200: what their status line would have been.
INSIDE: dict[str, tuple[Any, int, FailureKind, str]] = {
    "openrouter": (
        {**e("Provider returned error", code=502), "user_id": "u"},
        502,
        FAILED,
        "Provider returned error",
    ),
    "openrouter busy": (e("limit: free models per day", code=429), 429, BUSY, "limit: free"),
    "openrouter credit": (e("Insufficient credits", code=402), 402, NO_CREDIT, "Insufficient"),
    "code as text": (e("slow", code="429"), 429, BUSY, "slow"),
    "lm studio": (
        {"error": "Unexpected endpoint or method. (POST /v1/chat/completions)"},
        502,
        FAILED,
        "Unexpected endpoint",
    ),
    "ollama": ({"error": "llama runner process has terminated"}, 502, FAILED, "llama runner"),
    "llama.cpp": (e("Loading model", code=503, type="unavailable_error"), 503, FAILED, "Loading"),
    "llama.cpp context": (
        e("too long", code=400, type="exceed_context_size_error"),
        400,
        TOO_LONG,
        "too long",
    ),
    "vllm old": (
        {"object": "error", "message": "no", "type": "BadRequestError", "code": 400},
        400,
        FAILED,
        "no",
    ),
    "fastchat busy": ({"object": "error", "message": "wait", "code": 42901}, 429, BUSY, "wait"),
    "fastchat context": (
        {"object": "error", "message": "too many tokens", "code": 40303},
        400,
        FAILED,
        "too many tokens",
    ),
    "anthropic overloaded": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        529,
        FAILED,
        "Overloaded",
    ),
    "anthropic rate": (e("slow", type="rate_limit_error"), 429, BUSY, "slow"),
    "openai quota": (
        e("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"),
        429,
        NO_CREDIT,
        "You exceeded",
    ),
    "openai context": (
        e("maximum context length", type="invalid_request_error", code="context_length_exceeded"),
        400,
        TOO_LONG,
        "maximum",
    ),
    "openai policy": (
        e("rejected", type="invalid_request_error", code="content_policy_violation"),
        400,
        REFUSED_CONTENT,
        "rejected",
    ),
    "a wrong key": (e("who?", code="invalid_api_key"), 401, REFUSED_KEY, "who?"),
    "google in a list": (
        [e("Resource exhausted", code=429, status="RESOURCE_EXHAUSTED")],
        429,
        BUSY,
        "Resource exhausted",
    ),
    "google by word": (e("down", status="UNAVAILABLE"), 503, FAILED, "down"),
    "cloudflare": (
        {"success": False, "errors": [{"code": 7000, "message": "No route"}], "result": None},
        502,
        FAILED,
        "No route",
    ),
    "minimax busy": (
        {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
        429,
        BUSY,
        "rate limit",
    ),
    "minimax credit": (
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        402,
        NO_CREDIT,
        "insufficient balance",
    ),
    "minimax unknown": (
        {"base_resp": {"status_code": 9999, "status_msg": "odd"}},
        502,
        FAILED,
        "odd",
    ),
    "alibaba": (
        {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"},
        429,
        BUSY,
        "Requests",
    ),
    "alibaba key": ({"code": "InvalidApiKey", "message": "no"}, 401, REFUSED_KEY, "no"),
    "alibaba content": (
        {"code": "DataInspectionFailed", "message": "inappropriate content"},
        400,
        REFUSED_CONTENT,
        "inappropriate",
    ),
    "baidu": ({"error_code": 336100, "error_msg": "try again"}, 502, FAILED, "try again"),
    "zhipu": (
        {"error": {"code": "1302", "message": "too many requests"}},
        429,
        BUSY,
        "too many requests",
    ),
    "xai": ({"code": "internal", "error": "Something broke"}, 500, FAILED, "Something broke"),
    "fastapi": ({"detail": "Not Found"}, 502, FAILED, "Not Found"),
    "problem+json": ({"title": "Gone", "status": 503, "detail": "later"}, 503, FAILED, "later"),
    "hugging face": (
        {"error": "Model too busy", "error_type": "overloaded"},
        503,
        FAILED,
        "Model too busy",
    ),
    "error: true": ({"error": True, "message": "no", "code": 500}, 500, FAILED, "no"),
    "a list of errors": ({"errors": ["one", "two"]}, 502, FAILED, "one"),
    "openrouter within a choice": (
        {
            "choices": [
                {
                    "finish_reason": "error",
                    "message": {"role": "assistant", "content": "half"},
                    "error": {"code": 504, "message": "Provider timed out"},
                }
            ]
        },
        504,
        FAILED,
        "Provider timed out",
    ),
    "finish_reason error": (
        {"choices": [{"finish_reason": "error", "message": {"content": ""}}]},
        502,
        FAILED,
        "the model ended with an error",
    ),
    "no choices": ({"choices": None, "id": "x"}, 502, FAILED, "answered without choices"),
    "empty": ({}, 502, FAILED, "answered without choices"),
    "none": ({"choices": [], "usage": {}}, 502, FAILED, "answered without choices"),
    "none that is one": ({"choices": [None, {}]}, 502, FAILED, "answered without choices"),
    "a title beside none": ({"choices": [], "title": "x"}, 502, FAILED, "answered without choices"),
    "embeddings": ({"object": "list", "data": []}, 502, FAILED, "answered without choices"),
    "an error beside none": ({"choices": [], **e("x", code=500)}, 500, FAILED, "x"),
}


@pytest.mark.parametrize(("body", "status", "kind", "words"), INSIDE.values(), ids=INSIDE)
def test_an_error_under_a_good_status_is_found(
    body: Any, status: int, kind: FailureKind, words: str
) -> None:
    fields = body[0] if isinstance(body, list) else body

    fault = judge_whole(fields)

    assert fault is not None
    assert (fault.status, fault.kind) == (status, kind)
    assert fault.words.startswith(words)


SAID = {"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
ANSWERS: dict[str, dict[str, Any]] = {
    "plain": {"choices": [SAID]},
    "error: null": {"choices": [SAID], "error": None},
    "error: {}": {"choices": [SAID], "error": {}},
    "error: ''": {"choices": [SAID], "error": ""},
    "success": {"choices": [SAID], "success": True},
    "minimax": {"choices": [SAID], "base_resp": {"status_code": 0, "status_msg": ""}},
    "a warning beside": {"choices": [SAID], "message": "deprecated", "code": 1},
    "an error beside what was said": {"choices": [SAID], "error": {"message": "log lost"}},
    "no text": {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]},
    "a call": {"choices": [{"message": {"content": None, "tool_calls": [{}]}}]},
    "reasoning only": {"choices": [{"message": {"content": None, "reasoning": "hm"}}]},
    "a refusal": {"choices": [{"message": {"content": None, "refusal": "no"}}]},
    "audio": {"choices": [{"message": {"content": None, "audio": {"data": "x"}}}]},
    "withheld": {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]},
    "text": {"choices": [{"text": "x"}]},
}


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_what_has_choices(body: dict[str, Any]) -> None:
    assert judge_whole(body) is None


ONE = {"embedding": [0.5], "index": 0}


@pytest.mark.parametrize(
    ("data", "texts", "is_answer"),
    [([ONE], "x", True), ([], [], True), ([], "x", False), ([], ["x"], False), (None, [], False)],
)
def test_embeddings_have_data(data: object, texts: object, is_answer: bool) -> None:
    fault = judge_whole({"object": "list", "data": data}, EMBEDDINGS, {"input": texts})

    assert (fault is None) is is_answer
    assert fault is None or (fault.status, fault.words) == (502, "answered without data")


OPENAI_TPM = "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM)"
XAI_POOR = "Your newly created team doesn't have any credits or licenses yet."
ANTHROPIC_POOR = "Your credit balance is too low to access the Anthropic API."
GOOGLE_FREE = "You exceeded your current quota, please check your plan and billing details."

STATUS_LINES: list[tuple[int, Any, FailureKind | None, bool]] = [
    (401, e("no"), REFUSED_KEY, True),
    (402, e("Insufficient Balance", code="invalid_request_error"), NO_CREDIT, True),
    (402, b"", NO_CREDIT, True),
    (400, e(ANTHROPIC_POOR, type="invalid_request_error"), NO_CREDIT, True),
    (400, {"code": "Arrearage", "message": "Access denied"}, NO_CREDIT, True),
    (403, {"code": "permission-denied", "error": XAI_POOR}, NO_CREDIT, True),
    (429, e("quota", type="insufficient_quota", code="insufficient_quota"), NO_CREDIT, True),
    (429, e("suspended", type="exceeded_current_quota_error"), NO_CREDIT, True),
    (429, e("Your prepayment credits are depleted."), NO_CREDIT, True),
    (429, e("billing is a word in my prompt"), BUSY, True),
    (403, {"code": "permission-denied", "error": "Content violates usage guidelines."}, None, True),
    (403, e("Your input was flagged for violence"), REFUSED_CONTENT, True),
    (403, e("Country, region, or territory not supported"), FORBIDDEN, True),
    (403, e("You do not have access to model m"), FORBIDDEN, True),
    (403, e("PERMISSION_DENIED", status="PERMISSION_DENIED"), FORBIDDEN, True),
    (403, b"<html>blocked by the firewall: no key, no entry</html>", FORBIDDEN, True),
    (403, b"", FORBIDDEN, True),
    (403, e("bad key sk-1"), REFUSED_KEY, True),
    (403, e("Invalid API key"), REFUSED_KEY, True),
    (403, e("Your API key was reported as leaked."), REFUSED_KEY, True),
    (403, e("API key expired. Please renew the API key."), REFUSED_KEY, True),
    (403, e("invalid", type="authentication_error"), REFUSED_KEY, True),
    (403, e("Method doesn't allow unregistered callers"), REFUSED_KEY, True),
    (429, e("slow down"), BUSY, True),
    (429, e(OPENAI_TPM, type="tokens", code="rate_limit_exceeded"), BUSY, True),
    (429, e("limit: 15, model: m in project p"), BUSY, True),
    (429, e(GOOGLE_FREE, status="RESOURCE_EXHAUSTED"), BUSY, True),
    (429, e("Your account has too many requests in flight"), ACCOUNT_BUSY, True),
    (429, e("This request would exceed your organization's rate limit"), ACCOUNT_BUSY, True),
    (429, e("Daily limit of this key reached"), ACCOUNT_BUSY, True),
    (429, {"message": "API rate limit exceeded for this API key"}, ACCOUNT_BUSY, True),
    (408, e("late"), FAILED, True),
    (500, e("Content policy engine crashed"), FAILED, True),
    (503, e("Loading model"), FAILED, True),
    (529, e("Overloaded", type="overloaded_error"), FAILED, True),
    (502, e("x", type="MALFORMED_FUNCTION_CALL"), REFUSED_CONTENT, True),
    (400, e("bad field"), FAILED, False),
    (400, e("rejected", code="content_filter"), REFUSED_CONTENT, False),
    (400, e("no", code="content_policy_violation"), REFUSED_CONTENT, False),
    (404, e("no such model", code="model_not_found"), FAILED, False),
    (413, e("too large"), FAILED, False),
    (422, {"detail": [{"loc": ["body", "x"], "msg": "wrong"}]}, FAILED, False),
]


@pytest.mark.parametrize(("status", "body", "kind", "fails_over"), STATUS_LINES)
def test_an_error_status_has_a_kind(
    status: int, body: Any, kind: FailureKind | None, fails_over: bool
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    fault = judge_status(status, raw, "m-at-vendor" if "model" not in str(body) else "m")

    assert (fault.status, fault.fails_over) == (status, fails_over)
    assert fault.kind is (kind or REFUSED_CONTENT)


def test_a_key_google_does_not_know_counts_as_refused() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = json.dumps(e("API key not valid", status="INVALID_ARGUMENT", details=details)).encode()

    fault = judge_status(400, body, "m")

    assert fault == Fault(401, REFUSED_KEY, "API key not valid")


@pytest.mark.parametrize(
    "answer",
    [
        {"id": "x", "choices": [SAID]},
        {"status": "processing", "message": "wait"},
        {"message": "hello"},
        {"type": "response.created", "code": 0},
        [],
        [1],
        "text",
        None,
        3,
    ],
)
def test_what_says_nothing_of_an_error_is_none(answer: Any) -> None:
    assert read_report(answer) is None


@pytest.mark.parametrize(
    "deep", [{"error": {"message": {"error": {"message": []}}}}, {"error": [1]}]
)
def test_rubbish_in_an_error_has_no_words(deep: Any) -> None:
    report = read_report(deep, is_error=True)

    assert report is not None
    assert judge_report(report).status == 502


def test_words_are_bounded() -> None:
    fault = judge_whole(e("x" * 100_000))

    assert fault is not None
    assert len(fault.words) <= 500


ADDITIONS: list[tuple[int, Any, bool]] = [
    # Mistral, Groq, Azure, OpenAI, TGI and old servers
    (422, {"message": {"detail": [{"type": "extra_forbidden", "loc": ["stream_options"]}]}}, True),
    (400, e("property 'stream_options' is unsupported, did you mean 'stream'?"), True),
    (400, e("Validation error at #/stream_options: Extra inputs are not permitted"), True),
    (400, e("Unrecognized request argument supplied: stream_options"), True),
    (400, e("include_usage is not supported for this model", param="stream_options"), True),
    (400, e('json: unknown field "streamOptions"'), True),
    (422, {"detail": [{"msg": "Extra inputs are not permitted"}]}, True),
    (422, {"detail": "Additional properties are not allowed"}, True),
    (400, e("Unknown parameter"), True),
    (400, b"Bad Request", True),
    (400, {}, True),
    (422, e("Unprocessable Entity"), True),
    (500, e("create() got an unexpected keyword argument 'stream_options'"), True),
    (501, b"stream_options: not implemented", True),
    (500, e("Internal Server Error"), False),
    (400, e("messages: at least one is needed"), False),
    (400, e("maximum context length is 4096 tokens"), False),
    (400, b"<html>Bad Request</html>", False),
    (401, e("stream_options"), False),
    (429, e("stream_options"), False),
    (404, e("model not found"), False),
]


@pytest.mark.parametrize(("status", "body", "expected"), ADDITIONS)
def test_a_refusal_of_what_nexus_adds_is_told_from_others(
    status: int, body: Any, expected: bool
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    assert refuses_addition(status, raw) is expected
