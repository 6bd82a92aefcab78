"""Requests and answers that several tests make."""

from __future__ import annotations

from typing import Any

from nexus_core.dialects.gemini import translate_request
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.report import Translation

MODEL = "gemini-3.8-flash"
USER = {"role": "user", "content": "hi"}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Today's weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
# One pixel, in full: providers look inside.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def translate(
    *messages: dict[str, Any], model: str = MODEL, reject_hints: bool = False, **fields: Any
) -> Translation:
    """Check a request as the gateway does, and translate it."""
    request = {"model": "asked", "messages": list(messages or (USER,)), **fields}
    return translate_request(check_chat_request(request), model, reject_hints=reject_hints)


def call(call_id: str, name: str = "weather", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **more}


def calls(*tool_calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(tool_calls), **more}


def result(call_id: str, content: Any = "sunny") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def answer(*parts: dict[str, Any], reason: str | None = "STOP", **candidate: Any) -> dict[str, Any]:
    """An answer of :generateContent with one candidate."""
    body = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **candidate}
    if reason is not None:
        body["finishReason"] = reason
    return {
        "candidates": [body],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "modelVersion": MODEL,
        "responseId": "r1",
    }
