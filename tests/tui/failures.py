"""Requests that went wrong, one of each way, and two that run."""

from __future__ import annotations

from tests.tui.fleet import Story

FAILURES = (
    Story(
        3,
        "gpt-5",
        None,
        None,
        status=404,
        first_ms=None,
        total_ms=0.9,
        tokens=None,
        error="no backend serves gpt-5",
        error_code="model_not_found",
    ),
    Story(
        2.5,
        "gpt-4o",
        "openai",
        status=429,
        first_ms=210,
        total_ms=212,
        tokens=None,
        error="answered 429",
        error_code="upstream_429",
    ),
    Story(
        2,
        "llama3:70b",
        "vllm-a",
        tokens=(96, 31),
        total_ms=700,
        error='backend "vllm-a": the stream ended without its end marker',
        error_code="upstream_error",
    ),
    Story(1.5, "llama3:70b", "local-llama", tokens=(40, 12), total_ms=400, client_left=True),
    Story(
        1,
        "llama3:70b",
        "vllm-a",
        status=499,
        first_ms=None,
        total_ms=2600,
        tokens=None,
        client_left=True,
    ),
    Story(0.5, "llama3:70b", "vllm-a", total_ms=None, tokens=None),
    Story(0.2, "gpt-4o", "openai", first_ms=None, total_ms=None, tokens=None),
)
