"""The work that gateways are compared by: kinds of request, and what a backend answers.

Every request has a prompt of 200 bytes and every answer its usage. A stream's events come four at a
time, each in a chunk of its own, as servers of models write them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
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
# Of each type of backend, the one that it serves. The first is asked for chat and for Responses,
# the last, a local server, for chat alone.
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-flash",
    "vllm": "qwen3:8b",
}
# Of each API that clients speak. Of Gemini's, {} is the model.
PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "ollama": "/api/chat",
    "gemini": "/v1beta/models/{}:streamGenerateContent?alt=sse",
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
    api: str = "chat"  # of the client

    @property
    def path(self) -> str:
        return PATHS[self.api].format(MODELS[self.backend])

    @property
    def request(self) -> bytes:
        """As a client of the gateway writes it, head and body."""
        return as_request(self.request_body, self.path)

    @property
    def request_body(self) -> bytes:
        model = MODELS[self.backend]
        if self.api == "chat":
            return chat_body(model, is_stream=self.is_stream, prompt=self.prompt)
        return json.dumps(_BODIES[self.api](model, self.prompt), separators=(",", ":")).encode()


def chat_body(model: str, *, is_stream: bool = False, prompt: str = PROMPT) -> bytes:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if is_stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


# Of a stream, by the client's API.
_BODIES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "messages": lambda model, prompt: {
        "model": model,
        "max_tokens": 1024,
        "messages": _messages(prompt),
        "stream": True,
    },
    "responses": lambda model, prompt: {"model": model, "input": prompt, "stream": True},
    "ollama": lambda model, prompt: {"model": model, "messages": _messages(prompt)},
    "gemini": lambda _, prompt: {"contents": [{"role": "user", "parts": [{"text": prompt}]}]},
}


def as_request(body: bytes, path: str = PATHS["chat"]) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-none" % path.encode()
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


def _responses_events() -> list[bytes]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    response: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1760000000,
        "model": MODELS["openai"],
        "status": "in_progress",
        "output": [],
    }
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    whole = {**part, "text": _WORD * CHUNKS}
    done = {**item, "status": "completed", "content": [whole]}
    counts = {"input_tokens": 47, "output_tokens": 101, "total_tokens": 148}
    usage = {
        **counts,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    completed = {**response, "status": "completed", "output": [done], "usage": usage}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": response}),
        ("response.in_progress", {"response": response}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "content": []}}),
        ("response.content_part.added", {**place, "part": part}),
        *[("response.output_text.delta", {**place, "delta": _WORD, "logprobs": []})] * CHUNKS,
        ("response.output_text.done", {**place, "text": whole["text"], "logprobs": []}),
        ("response.content_part.done", {**place, "part": whole}),
        ("response.output_item.done", {"output_index": 0, "item": done}),
        ("response.completed", {"response": completed}),
    ]
    return [
        _named(kind, sequence_number=number, **body) for number, (kind, body) in enumerate(bodies)
    ]


def _stream(name: str, backend: str, events: list[bytes], per_read: int = EVENTS_PER_READ) -> Load:
    chunks = [framed(event) for event in events]
    reads = [b"".join(chunks[at : at + per_read]) for at in range(0, len(chunks), per_read)]
    reads[-1] += b"0\r\n\r\n"
    prompt = PROMPT if per_read == EVENTS_PER_READ else _BURST + PROMPT[len(_BURST) :]
    return Load(name, backend, True, (_CHUNKED, *reads), len(events), prompt)


def _asked(api: str, load: Load, backend: str, name: str = "") -> Load:
    """The same stream of a backend, for a client of another API."""
    return replace(load, name=name or api, api=api, backend=backend)


def _whole() -> Load:
    body = _whole_answer()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    reads = (head % len(body) + body,)
    return Load("chat", "openai", False, reads, 0)


_SSE = _stream("sse", "openai", _openai_events())
_ANTHROPIC = _stream("anthropic", "anthropic", _anthropic_events())
_GOOGLE = _stream("google", "google", _google_events())
_RESPONSES = _stream("responses-passed", "openai", _responses_events())

LOADS: dict[str, Load] = {
    load.name: load
    for load in (
        _whole(),
        _SSE,
        _stream("bursts", "openai", _openai_events(), _BURST_EVENTS),
        _ANTHROPIC,
        _GOOGLE,
        _stream("anthropic-bursts", "anthropic", _anthropic_events(), _BURST_EVENTS),
        _stream("google-bursts", "google", _google_events(), _BURST_EVENTS),
        # To a server that speaks chat alone,
        *[_asked(api, _SSE, "vllm") for api in ("messages", "responses", "ollama", "gemini")],
        # and to one that speaks the same.
        _asked("messages", _ANTHROPIC, "anthropic", "messages-passed"),
        replace(_RESPONSES, api="responses"),
        _asked("gemini", _GOOGLE, "google", "gemini-passed"),
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
    if b"/responses" in target:
        return LOADS["responses-passed"].reads
    is_stream = b'"stream":true' in request or b'"stream": true' in request
    if not is_stream:
        return LOADS["chat"].reads
    return LOADS["bursts" if is_burst else "sse"].reads
