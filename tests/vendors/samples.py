"""What each provider sends, and where it differs; the tests of promises run over all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from nexus_core.catalog import BackendType

EVENT_STREAM = ("Content-Type", "text/event-stream")


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider's API as its scripted double speaks it."""

    type: BackendType
    model: str
    path: str  # of a whole chat
    stream_path: str
    key_header: str
    answer: dict[str, Any]  # says TEXT
    events: tuple[bytes, ...]  # the same as a stream; the last one ends it
    error_event: bytes
    rubbish: tuple[Any, ...]  # JSON that is no answer
    wrong_key: tuple[int, dict[str, Any]]
    busy: tuple[dict[str, Any], tuple[tuple[str, str], ...]]  # a 429 that asks for 7 seconds

    def error(self, status: int, message: str) -> dict[str, Any]:
        """An error body of that status."""
        if self.type is BackendType.GOOGLE:
            return {"error": {"code": status, "message": message, "status": "PROVIDER_SAYS"}}
        return {"type": "error", "error": {"type": "provider_says", "message": message}}


TEXT = "Hello there."


def event(data: dict[str, Any], end: bytes = b"\n\n") -> bytes:
    name = f"event: {data['type']}\n".encode() if "type" in data else b""
    return name + b"data: " + json.dumps(data).encode() + end


def _google(parts: list[Any], **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": parts}, **more}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4}
    return {"candidates": [candidate], "usageMetadata": usage, "responseId": "r1"}


_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
PING = event({"type": "ping"})

ANTHROPIC = Provider(
    type=BackendType.ANTHROPIC,
    model="claude-haiku-4-5",
    path="/v1/messages",
    stream_path="/v1/messages",
    key_header="x-api-key",
    answer=_MESSAGE
    | {
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    },
    events=(
        event({"type": "message_start", "message": _MESSAGE}),
        event(
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            }
        ),
        event(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": TEXT},
            }
        ),
        event({"type": "content_block_stop", "index": 0}),
        event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 4},
            }
        ),
        event({"type": "message_stop"}),
    ),
    error_event=event(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    ),
    rubbish=(
        {},
        {"type": "message"},
        {"type": "message", "content": 3},
        {"type": "message", "content": [{"type": "text"}]},
        {"type": "message", "content": [{"type": "tool_use", "name": "f", "input": {}}]},
    ),
    wrong_key=(
        401,
        {"type": "error", "error": {"type": "authentication_error", "message": "invalid %KEY%"}},
    ),
    busy=(
        {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}},
        (("Retry-After", "7"),),
    ),
)

GOOGLE = Provider(
    type=BackendType.GOOGLE,
    model="gemini-2.5-flash",
    path="/v1beta/models/gemini-2.5-flash:generateContent",
    stream_path="/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    key_header="x-goog-api-key",
    answer=_google([{"text": TEXT}], finishReason="STOP"),
    events=(
        event(_google([{"text": "Hello"}]), b"\r\n\r\n"),
        event(_google([{"text": " there."}]), b"\r\n\r\n"),
        event(_google([{"text": ""}], finishReason="STOP"), b"\r\n\r\n"),
    ),
    error_event=event(
        {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}, b"\r\n\r\n"
    ),
    rubbish=(
        {},
        {"candidates": 3},
        {"candidates": [{"content": 3}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {}}]}, "finishReason": "STOP"}]},
        {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]},
    ),
    wrong_key=(
        400,
        {
            "error": {
                "code": 400,
                "message": "API key not valid: %KEY%",
                "status": "INVALID_ARGUMENT",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID",
                    }
                ],
            }
        },
    ),
    busy=(
        {
            "error": {
                "code": 429,
                "message": "slow down",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": "6.5s",
                    }
                ],
            }
        },
        (),
    ),
)

PROVIDERS = (ANTHROPIC, GOOGLE)
both = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.type.value)
