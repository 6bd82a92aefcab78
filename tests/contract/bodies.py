"""Requests and answers in OpenAI's format, as clients and servers really send them."""

from __future__ import annotations

import json
from typing import Any

MESSAGES = [{"role": "user", "content": "hello"}]

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1760000000,
    "model": "llama3:70b",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}

TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Göttingen"}'},
}
TOOL_ANSWER = ANSWER | {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
            "finish_reason": "tool_calls",
        }
    ]
}

# llama.cpp's words, tools/server/server-context.cpp.
TOO_LONG: dict[str, Any] = {
    "error": {
        "code": 400,
        "type": "exceed_context_size_error",
        "message": "the request exceeds the available context size, try increasing it",
        "n_prompt_tokens": 14429,
        "n_ctx": 8192,
    }
}

DONE = b"data: [DONE]\n\n"


def chat(model: str = "llama3:70b", **more: object) -> dict[str, Any]:
    return {"model": model, "messages": MESSAGES, **more}


def event(delta: dict[str, Any], finish_reason: str | None = None, **more: object) -> bytes:
    """One chunk of a stream."""
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "llama3:70b",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        **more,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


FIRST = event({"role": "assistant", "content": ""})
HELLO = event({"content": "Hello"})
THERE = event({"content": " there."})
STOP = event({}, "stop")
STREAM = (FIRST, HELLO, THERE, STOP, DONE)
