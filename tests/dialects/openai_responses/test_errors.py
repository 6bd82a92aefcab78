"""Errors of the Responses API: statuses, codes, and the event that ends a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.openai_responses.errors import (
    as_error,
    error_body,
    error_event_after,
    failure_of,
    status_of,
    translate_error,
)
from nexus_core.errors import (
    ActionableErrorContext,
    BudgetExceededError,
    CapacityExceededError,
    ContextLengthError,
    EndpointNotServedError,
    ModelNotFoundError,
    NexusError,
    NoCapableBackendError,
    PrivacyConstraintError,
    UnsupportedFieldsError,
    UpstreamFailedError,
)

NOBODY = ActionableErrorContext(None, (), eta_seconds=None)

OWN: list[tuple[NexusError, int, str, str]] = [
    (PrivacyConstraintError("x", NOBODY), 400, "privacy_constraint_violation", "invalid_prompt"),
    (
        NoCapableBackendError("x", NOBODY, may_pass=False),
        400,
        "no_capable_backend",
        "invalid_prompt",
    ),
    (NoCapableBackendError("x", NOBODY), 503, "server_is_overloaded", "server_is_overloaded"),
    (CapacityExceededError("x", NOBODY), 503, "server_is_overloaded", "server_is_overloaded"),
    (BudgetExceededError("x", NOBODY), 429, "insufficient_quota", "insufficient_quota"),
    (UnsupportedFieldsError({"a": "b"}), 400, "unsupported_parameter", "invalid_prompt"),
    (EndpointNotServedError("x"), 400, "endpoint_not_supported", "invalid_prompt"),
    (ModelNotFoundError("x"), 404, "model_not_found", "invalid_prompt"),
    (ContextLengthError("x"), 400, "context_length_exceeded", "context_length_exceeded"),
    (UpstreamFailedError("x"), 502, "upstream_error", "server_error"),
]


@pytest.mark.parametrize(("error", "status", "code", "in_stream"), OWN)
def test_each_error_says_whether_a_retry_may_help(
    error: NexusError, status: int, code: str, in_stream: str
) -> None:
    body = json.loads(error_body(error))["error"]
    event = json.loads(error_event_after(error, "r1", b"", b"").partition(b"data: ")[2])

    assert (status_of(error), body["code"]) == (status, code)
    assert body["message"] == error.message
    assert event["response"]["error"] == {"code": in_stream, "message": error.message}
    assert event["response"]["id"] == "resp_r1"


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ('backend "gpu": prompt is too long: 9 tokens > 8 maximum', 400, "context_length_exceeded"),
        ('backend "a": Please try again in 3s.', 429, "rate_limit_exceeded"),
        ('backend "a": the image is broken', 400, "invalid_prompt"),
        ('backend "a": no data for 9 s', 504, "server_error"),
    ],
)
def test_a_backends_error_in_a_stream_that_has_begun_keeps_its_meaning(
    words: str, status: int, code: str
) -> None:
    event = error_event_after(UpstreamFailedError(words, status=status), "r1", b"", b"")

    told = json.loads(event.partition(b"data: ")[2])["response"]["error"]
    assert told == {"code": code, "message": words}


def test_the_event_goes_on_where_the_stream_broke_off() -> None:
    first = b': ping\n\ndata: {"sequence_number":0,"response":{"id":"resp_a","model":"m"}}\n\n'
    last = b'data: {"sequence_number": 17, "delta": "\\"sequence_number\\": 99"}\n\n'

    event = error_event_after(UpstreamFailedError("broke"), "r1", first, last)

    told = json.loads(event.partition(b"data: ")[2])
    assert (told["sequence_number"], told["type"]) == (18, "response.failed")
    assert (told["response"]["id"], told["response"]["model"]) == ("resp_a", "m")


REPORTS = [
    (ErrorReport("slow down", "rate_limit_error", 429), "rate_limit_exceeded"),
    (ErrorReport("x", "insufficient_quota", 429), "insufficient_quota"),
    (ErrorReport("maximum context length is 9 tokens", "", 400), "context_length_exceeded"),
    (ErrorReport("busy", "overloaded_error", 529), "server_is_overloaded"),
    (ErrorReport("flagged", "content_filter", 400), "invalid_prompt"),
    (ErrorReport("boom", "", None), "server_error"),
    (ErrorReport(), "server_error"),
]


@pytest.mark.parametrize(("report", "code"), REPORTS)
def test_what_a_backend_reported_has_a_code_that_clients_know(
    report: ErrorReport, code: str
) -> None:
    failure = failure_of(report)

    assert failure["code"] == code
    assert failure["message"]


BODIES: list[tuple[Any, int, dict[str, Any]]] = [
    (
        {"error": {"message": "x", "code": 400, "param": "messages"}},
        400,
        {"message": "x", "code": None, "param": "input"},
    ),
    ({"detail": "late"}, 503, {"message": "late", "code": "server_is_overloaded"}),
    ({"error": "no such model"}, 404, {"message": "no such model", "code": None}),
]


@pytest.mark.parametrize(("body", "status", "expected"), BODIES)
def test_errors_of_chat_servers_wear_this_formats_envelope(
    body: Any, status: int, expected: dict[str, Any]
) -> None:
    told = json.loads(translate_error(json.dumps(body).encode(), status))["error"]

    assert {name: told[name] for name in expected} == expected


def test_an_error_in_its_own_form_stays_as_it_came() -> None:
    body = b'{"error": {"message": "x", "type": "t", "param": "input", "code": "c"}}'

    assert translate_error(body, 400) == as_error(body, "y", 502) == body
    assert json.loads(as_error(b"rubbish", "y", 502))["error"]["message"] == "y"
