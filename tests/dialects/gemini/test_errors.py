from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.gemini import read_retry_after, translate_error

INFO = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}


def error(code: int, message: str, status: str, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            400,
            error(400, "Invalid value at 'contents'", "INVALID_ARGUMENT"),
            (400, "Invalid value at 'contents'", "INVALID_ARGUMENT", None),
        ),
        (
            400,
            error(400, "API key not valid.", "INVALID_ARGUMENT", INFO),
            (401, "API key not valid.", "INVALID_ARGUMENT", "API_KEY_INVALID"),
        ),
        (
            429,
            [error(429, "Quota exceeded", "RESOURCE_EXHAUSTED", RETRY)],
            (429, "Quota exceeded", "RESOURCE_EXHAUSTED", None),
        ),
        (503, error(503, "Overloaded", "UNAVAILABLE"), (503, "Overloaded", "UNAVAILABLE", None)),
        (500, {"error": "boom"}, (500, "boom", "api_error", None)),
        (404, {"error": {}}, (404, "the provider gave no readable error", "api_error", None)),
        (
            404,
            {"error": {"message": 5, "status": [], "details": {}}},
            (404, "the provider gave no readable error", "api_error", None),
        ),
    ],
)
def test_an_error_keeps_its_words(
    status: int, body: Any, expected: tuple[int, str, str, str | None]
) -> None:
    answered, envelope = translate_error(status, encoded(body))

    message, kind, code = expected[1:]
    assert answered == expected[0]
    assert envelope == {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Bad gateway</html>", b"\xff", b"[]", b"[5]", b"5", b"null", b"{}", b"[" * 9000],
)
def test_what_is_no_error_of_google_is_said_to_be_unreadable(body: bytes) -> None:
    status, envelope = translate_error(502, body)

    assert status == 502
    assert envelope["error"]["message"] == "the provider gave no readable error (status 502)"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("34.5s", 34.5), ("7s", 7.0), ("0s", 0.0), ("7", None), ("-7s", None), ("s", None),
     ("1e9s", None), ("٣s", None), (7, None), (None, None)],
)  # fmt: skip
def test_how_long_to_wait(delay: Any, seconds: float | None) -> None:
    detail = {**RETRY, "retryDelay": delay}

    body = encoded(error(429, "Quota exceeded", "RESOURCE_EXHAUSTED", "odd", detail))

    assert read_retry_after(body) == seconds


def test_an_unreadable_error_names_no_wait() -> None:
    assert read_retry_after(b"<html>") is None
