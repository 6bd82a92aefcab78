"""Requests to translate, with only that said which a test is about."""

from __future__ import annotations

from typing import Any

from nexus_core.dialects.anthropic.request import translate_request
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.report import Translation
from tests.dialects.anthropic.sdk import check_request

NEWEST = "claude-opus-5-5"  # always thinks, takes no sampling, forces no tools
OPUS_5 = "claude-opus-5"
SONNET_4_6 = "claude-sonnet-4-6"
HAIKU_4_5 = "claude-haiku-4-5"
SONNET_4 = "claude-sonnet-4-20250514"
HAIKU_3 = "claude-3-haiku-20240307"

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
PDF = "JVBERi0xLjQKJSVFT0YK"

USER = {"role": "user", "content": "hi"}


def translate(model: str = NEWEST, *, reject_hints: bool = False, **fields: Any) -> Translation:
    """Check, translate, and have the SDK's types judge the body."""
    request = check_chat_request({"model": "asked", "messages": [USER], **fields})
    translation = translate_request(request, model, reject_hints=reject_hints)
    check_request(translation.body)
    return translation


def function(name: str = "look_up", **more: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"q": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def call(call_id: str, name: str = "look_up", arguments: str = '{"q": "x"}') -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def result(call_id: str, content: Any = "found") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}
