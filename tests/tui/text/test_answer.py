"""What a captured answer says, in the formats of all APIs, whole and as a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_tui.text.answer import answer_text

USE = {"type": "tool_use", "id": "t", "name": "Read", "input": {"path": "a"}}
CALL = {"type": "function_call", "name": "Read", "arguments": '{"path": "a"}'}
FUNCTION = {"functionCall": {"name": "Read", "args": {"path": "a"}}}
SAID = 'HelloRead{"path": "a"}'

MESSAGES = {
    "type": "message",
    "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}, USE],
}
RESPONSES = {
    "object": "response",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]},
        CALL,
    ],
}
GEMINI = {
    "candidates": [
        {"content": {"parts": [{"text": "hm", "thought": True}, {"text": "Hello"}, FUNCTION]}}
    ]
}
OLLAMA: dict[str, Any] = {
    "message": {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [{"function": {"name": "Read", "arguments": {"path": "a"}}}],
    },
    "done": True,
}
CHAT = {
    "choices": [
        {
            "message": {
                "content": "Hello",
                "tool_calls": [{"function": {"name": "Read", "arguments": '{"path": "a"}'}}],
            }
        }
    ]
}


@pytest.mark.parametrize("whole", [MESSAGES, RESPONSES, GEMINI, OLLAMA, CHAT])
def test_a_whole_answer(whole: dict[str, Any]) -> None:
    assert answer_text(json.dumps(whole).encode()) == SAID


def events(*values: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def lines(*values: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def delta(**fields: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": fields}


@pytest.mark.parametrize(
    "stream",
    [
        events(
            {"type": "message_start", "message": {"role": "assistant", "content": []}},
            delta(type="thinking_delta", thinking="hm"),
            delta(type="text_delta", text="Hel"),
            delta(type="text_delta", text="lo"),
            {"type": "content_block_start", "index": 1, "content_block": USE | {"input": {}}},
            delta(type="input_json_delta", partial_json='{"path": '),
            delta(type="input_json_delta", partial_json='"a"}'),
            {"type": "message_stop"},
        ),
        events(
            {"type": "response.created", "response": {"object": "response", "output": []}},
            {"type": "response.output_text.delta", "delta": "Hello"},
            {"type": "response.output_item.added", "item": CALL | {"arguments": ""}},
            {"type": "response.function_call_arguments.delta", "delta": '{"path": "a"}'},
            {"type": "response.output_item.done", "item": CALL},
            {"type": "response.completed", "response": RESPONSES},
        ),
        events({"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]}, {"candidates": []})
        + events({"candidates": [{"content": {"parts": [{"text": "lo"}, FUNCTION]}}]}),
        json.dumps([{"candidates": [{"content": {"parts": [{"text": "Hello"}]}}]}]).encode()[:-1]
        + b", "
        + json.dumps({"candidates": [{"content": {"parts": [FUNCTION]}}]}).encode()
        + b"]",
        lines({"message": {"role": "assistant", "content": "Hel"}, "done": False})
        + lines(OLLAMA | {"message": OLLAMA["message"] | {"content": "lo"}}),
    ],
    ids=["messages", "responses", "gemini", "gemini array", "ollama"],
)
def test_a_stream(stream: bytes) -> None:
    assert answer_text(stream) == SAID


def test_texts_that_are_completed() -> None:
    assert answer_text(b'{"choices": [{"text": "once"}]}') == "once"
    assert answer_text(lines({"response": "on"}, {"response": "ce", "done": True})) == "once"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"error": {"message": "no"}}',
        b'{"type": "message", "content": 7}',
        b'{"message": {"role": "assistant", "tool_calls": [7, {"function": 7}]}}',
        b'{"choices": []}',
        b"[1, 2]",
        b"plain",
        b"",
    ],
)
def test_what_says_nothing_is_shown_as_it_is(raw: bytes) -> None:
    assert answer_text(raw) == raw.decode()
