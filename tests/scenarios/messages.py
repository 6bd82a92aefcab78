"""Recorded requests of Claude Code, backends of every format, and Anthropic's own client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from tests.contract.bodies import DONE, FIRST, event
from tests.contract.scripted_upstream import Script, answers, streams
from tests.scenarios.nexus import Nexus, backend, cloud

MESSAGES = "/v1/messages?beta=true"
RECORDINGS = Path(__file__).parents[1] / "data" / "claude_code"
TURNS = sorted(
    path.stem
    for path in RECORDINGS.glob("*.json")
    if path.stem[:2] not in ("00", "10", "11") and "web-search" not in path.stem
)


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5",
    "content": [{"type": "text", "text": "Hello.", "citations": None}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 2},
}
SHORT: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}


def recorded(name: str) -> dict[str, Any]:
    """One recorded request: its headers as they came, and its body."""
    found = json.loads((RECORDINGS / f"{name}.json").read_text())
    several = found if isinstance(found, list) else [found]
    one: dict[str, Any] = next((one for one in several if "body" in one), several[0])
    return one


def body_of(name: str, model: str = "m", **more: Any) -> dict[str, Any]:
    """The body of a recorded request for another model."""
    body: dict[str, Any] = recorded(name)["body"]
    return body | {"model": model} | more


def headers_of(name: str) -> dict[str, str]:
    """Headers of a recorded request, beside those of its connection."""
    pairs = (line.split(": ", 1) for line in recorded(name)["headers"])
    own = {"host", "connection", "accept-encoding", "content-length", "x-nexus-privacy-zone"}
    return {key: value for key, value in pairs if key.lower() not in own}


def recorded_stream(name: str) -> bytes:
    """The body of a recorded answer."""
    text = (RECORDINGS / f"{name}.stream.txt").read_bytes()
    return text.partition(b"\n\n")[2]


def claude(url: str, **more: Any) -> BackendConfig:
    """A backend of Anthropic's own format."""
    return cloud("claude", url, type=BackendType.ANTHROPIC, **more)


def local(url: str, **more: Any) -> BackendConfig:
    """A local server that has chat completions only."""
    return backend("gpu", url, type=BackendType.VLLM, **more)


def gemini(url: str, **more: Any) -> BackendConfig:
    """A backend of Google's format."""
    return cloud("gemini", url, type=BackendType.GOOGLE, **more)


def openai(url: str, **more: Any) -> BackendConfig:
    """OpenAI."""
    return cloud("openai", url, type=BackendType.OPENAI, **more)


def call_piece(index: int, arguments: str, **start: Any) -> bytes:
    """A chunk with a piece of a call."""
    function = {"arguments": arguments, **({"name": start["name"]} if start else {})}
    piece = {"index": index, "function": function}
    if start:
        piece |= {"id": start["id"], "type": "function"}
    return event({"tool_calls": [piece]})


# Two calls whose arguments come in turn.
INTERLEAVED = [
    FIRST,
    call_piece(0, "", id="a", name="A"),
    call_piece(1, "", id="b", name="B"),
    call_piece(0, '{"x": '),
    call_piece(1, '{"y": 2'),
    call_piece(0, "1}"),
    call_piece(1, "}"),
    event({}, "tool_calls"),
    DONE,
]

USAGE = event(
    {},
    usage={
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60},
    },
)
THINKING_AND_CALLS = [
    event({"role": "assistant", "content": None}),
    event({"reasoning_content": "Two "}),
    event({"reasoning_content": "files."}),
    event({"content": "\n\n"}),
    event({"content": "I will look."}),
    call_piece(0, "", id="call_a:0", name="Bash"),
    call_piece(0, '{"command": '),
    call_piece(0, '"ls"}'),
    call_piece(1, '{"file_path": "/a', id="call_b:1", name="Read"),
    call_piece(1, '"}'),
    event({}, "tool_calls"),
    USAGE,
    DONE,
]


def chat_stream() -> Script:
    """An answer of a chat server with thinking, text and two calls."""
    return streams(THINKING_AND_CALLS)


GOOGLE_PARTS = [
    {"text": "Two files.", "thought": True},
    {"text": "I will look."},
    {"functionCall": {"name": "Bash", "args": {"command": "ls"}}, "thoughtSignature": "c2ln"},
]


def google_stream() -> Script:
    """An answer of Google's with thinking, text and a call that has a signature."""
    candidate = {"content": {"role": "model", "parts": GOOGLE_PARTS}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    answer = {"candidates": [candidate], "usageMetadata": usage}
    return streams([b"data: " + json.dumps(answer).encode() + b"\r\n\r\n"])


def google_answer() -> Script:
    """The same as a whole answer."""
    candidate = {"content": {"role": "model", "parts": GOOGLE_PARTS}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    return answers({"candidates": [candidate], "usageMetadata": usage})


@asynccontextmanager
async def sdk(nexus: Nexus, **more: Any) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Anthropic's own client."""
    options: dict[str, Any] = {"api_key": "unused", "max_retries": 0}
    base_url = str(nexus.http.base_url)
    async with anthropic.AsyncAnthropic(base_url=base_url, **options | more) as client:
        yield client


def _for_sdk(body: dict[str, Any]) -> dict[str, Any]:
    """The same request as arguments; what the SDK has no argument for goes beside them."""
    more = {"context_management"}
    fields = {name: value for name, value in body.items() if name not in {"stream", *more}}
    fields["extra_body"] = {name: body[name] for name in more & body.keys()}
    return fields | {"extra_query": {"beta": "true"}}


async def create(nexus: Nexus, body: dict[str, Any]) -> anthropic.types.Message:
    """Ask for a whole answer with Anthropic's client."""
    fields = _for_sdk(body)
    async with sdk(nexus) as client:
        made: anthropic.types.Message = await client.messages.create(**fields)
        return made


async def streamed(nexus: Nexus, body: dict[str, Any]) -> anthropic.types.Message:
    """Ask with Anthropic's streaming helper; what it added up."""
    fields = _for_sdk(body)
    async with sdk(nexus) as client, client.messages.stream(**fields) as stream:
        async for _ in stream:
            pass
        made: anthropic.types.Message = await stream.get_final_message()
        return made


async def ask(nexus: Nexus, body: dict[str, Any], **headers: str) -> httpx.Response:
    """Ask as Claude Code does, and read the whole answer."""
    given = {"anthropic-version": "2023-06-01", **headers}
    return await nexus.http.post(MESSAGES, json=body, headers=given)


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream; each has to have its name."""
    found: list[tuple[str, dict[str, Any]]] = []
    for block in text.split("\n\n"):
        if block.strip():
            name, data = block.split("\n")
            assert name.startswith("event: ")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found
