"""The work that gateways are compared by: kinds of request, and what a backend answers.

Every request has a prompt of 200 bytes and every answer its usage. A stream's events come four at a
time, each in a chunk of its own, as servers of models write them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

EVENTS_PER_READ = 4
PROMPT = ("All happy families are alike; each unhappy family is unhappy in its own way. " * 3)[:200]
CHUNKS = 100
HOLD = "HOLD"  # a prompt that begins so gets the beginning of a stream, and then nothing
_BURST = "BURST"  # the same, and as many events in a read as a busy gateway finds there
_BURST_EVENTS = 40
_HOLD_MARK, _BURST_MARK = f'"{HOLD}'.encode(), f'"{_BURST}'.encode()

_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
# Of each type of backend, the one that it serves.
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-flash",
}

_USAGE = {"prompt_tokens": 47, "completion_tokens": 101, "total_tokens": 148}
_WORD = " family"


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of request, for the model of one type of backend."""

    name: str
    backend: str  # its type: openai, anthropic, google
    is_stream: bool
    reads: tuple[bytes, ...]  # the answer, as the backend writes it
    events: int  # of the stream; 0 without one
    prompt: str = PROMPT

    @property
    def request(self) -> bytes:
        """As a client of the gateway writes it, head and body."""
        return as_request(self.request_body)

    @property
    def request_body(self) -> bytes:
        return chat_body(MODELS[self.backend], is_stream=self.is_stream, prompt=self.prompt)


def chat_body(model: str, *, is_stream: bool = False, prompt: str = PROMPT) -> bytes:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if is_stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def as_request(body: bytes) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-none"
    head += b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


def _choice(**fields: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, **fields}]}


def _whole_answer() -> bytes:
    body = {
        "id": "chatcmpl-9aE0TnYvVd1oF2kQx7uLbC3sGmR5h",
        "object": "chat.completion",
        "created": 1760000000,
        "model": MODELS["openai"],
        **_choice(message={"role": "assistant", "content": PROMPT}, finish_reason="stop"),
        "usage": _USAGE,
    }
    return json.dumps(body).encode()


def _openai_events() -> list[bytes]:
    made = {"id": "chatcmpl-9aE0TnYvVd1oF2kQx7uLbC3sGmR5h", "object": "chat.completion.chunk"}
    made |= {"created": 1760000000, "model": MODELS["openai"]}  # type: ignore[dict-item]
    parts = [_choice(delta={"role": "assistant", "content": ""}, finish_reason=None)]
    parts += [_choice(delta={"content": _WORD}, finish_reason=None)] * CHUNKS
    parts += [_choice(delta={}, finish_reason="stop"), {"choices": [], "usage": _USAGE}]
    events = [b"data: " + json.dumps({**made, **part}).encode() + b"\n\n" for part in parts]
    return [*events, b"data: [DONE]\n\n"]


def _named(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _anthropic_events() -> list[bytes]:
    message: dict[str, object] = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": MODELS["anthropic"],
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 47, "output_tokens": 1},
    }
    return [
        _named("message_start", message=message),
        _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _named("ping"),
        *[_named("content_block_delta", index=0, delta={"type": "text_delta", "text": _WORD})]
        * CHUNKS,
        _named("content_block_stop", index=0),
        _named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 101}),
        _named("message_stop"),
    ]


def _google_events() -> list[bytes]:
    def event(number: int, text: str, **more: object) -> bytes:
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
        counts = {"promptTokenCount": 47, "candidatesTokenCount": number}
        counts["totalTokenCount"] = sum(counts.values())
        body = {"candidates": [candidate], "usageMetadata": counts, "responseId": "r1"}
        return b"data: " + json.dumps(body).encode() + b"\r\n\r\n"

    texts = [event(number, _WORD) for number in range(1, CHUNKS + 1)]
    return [*texts, event(CHUNKS + 1, "", finishReason="STOP")]


def framed(event: bytes) -> bytes:
    """As one chunk of a body: RFC 9112 section 7.1."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def _stream(name: str, backend: str, events: list[bytes], per_read: int = EVENTS_PER_READ) -> Load:
    chunks = [framed(event) for event in events]
    reads = [b"".join(chunks[at : at + per_read]) for at in range(0, len(chunks), per_read)]
    reads[-1] += b"0\r\n\r\n"
    prompt = PROMPT if per_read == EVENTS_PER_READ else _BURST + PROMPT[len(_BURST) :]
    return Load(name, backend, True, (_CHUNKED, *reads), len(events), prompt)


def _whole() -> Load:
    body = _whole_answer()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    reads = (head % len(body) + body,)
    return Load("chat", "openai", False, reads, 0)


LOADS: dict[str, Load] = {
    load.name: load
    for load in (
        _whole(),
        _stream("sse", "openai", _openai_events()),
        _stream("bursts", "openai", _openai_events(), _BURST_EVENTS),
        _stream("anthropic", "anthropic", _anthropic_events()),
        _stream("google", "google", _google_events()),
        _stream("anthropic-bursts", "anthropic", _anthropic_events(), _BURST_EVENTS),
        _stream("google-bursts", "google", _google_events(), _BURST_EVENTS),
    )
}


def answer_to(request: bytes) -> tuple[bytes, ...]:
    """The reads that answer a backend's request; its head and body must both be in it."""
    if _HOLD_MARK in request:
        return LOADS["sse"].reads[:2]
    target = request[: request.index(b"\r\n")]
    is_burst = _BURST_MARK in request
    if b":streamGenerateContent" in target:
        return LOADS["google-bursts" if is_burst else "google"].reads
    if b"/messages" in target:
        return LOADS["anthropic-bursts" if is_burst else "anthropic"].reads
    is_stream = b'"stream":true' in request or b'"stream": true' in request
    if not is_stream:
        return LOADS["chat"].reads
    return LOADS["bursts" if is_burst else "sse"].reads
