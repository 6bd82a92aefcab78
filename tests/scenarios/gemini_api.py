"""Recorded requests of Gemini CLI, answers of every format, and Google's own client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from google import genai
from google.genai import types

from tests.contract.bodies import DONE, STOP, event
from tests.contract.scripted_upstream import Script, answers, streams
from tests.scenarios.messages import call_piece
from tests.scenarios.nexus import Nexus

RECORDINGS = Path(__file__).parents[1] / "data" / "gemini_cli"
TURNS = sorted(path.stem for path in RECORDINGS.glob("*.json"))

SHORT: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
KEY = "CLIENT-KEY"

_USAGE = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
ANSWER = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Hello."}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": _USAGE,
    "modelVersion": "gemini-3.8-flash",
    "responseId": "r1",
}

CALLS = [
    event({"role": "assistant", "content": None}),
    event({"reasoning_content": "Two "}),
    event({"reasoning_content": "files."}),
    event({"content": "I will "}),
    event({"content": "look."}),
    call_piece(0, "", id="call_a:0", name="run_shell_command"),
    call_piece(0, '{"command": '),
    call_piece(0, '"ls"}'),
    call_piece(1, '{"file_path": "/a', id="call_b:1", name="read_file"),
    call_piece(1, '"}'),
    event({}, "tool_calls"),
    event(
        {},
        usage={
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    ),
    DONE,
]


def chat_calls() -> Script:
    """An answer of a chat server with thinking, text and two calls."""
    return streams(CALLS)


def chat_text(*texts: str) -> Script:
    """An answer of a chat server in a few pieces."""
    return streams([*(event({"content": text}) for text in texts), STOP, DONE])


def chat_whole(**message: Any) -> Script:
    """A whole answer of a chat server."""
    finish = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return answers({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


def recorded(name: str) -> dict[str, Any]:
    """One recorded request."""
    found: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return found


def body_of(name: str, **more: Any) -> dict[str, Any]:
    """The body of a recorded request."""
    body: dict[str, Any] = recorded(name)["body"]
    return body | more


def headers_of(name: str) -> dict[str, str]:
    """Headers of a recorded request, beside those of its connection."""
    pairs = (line.split(": ", 1) for line in recorded(name)["headers"])
    own = {"host", "connection", "accept-encoding", "content-length"}
    return {key: value for key, value in pairs if key.lower() not in own}


def recorded_stream(name: str) -> bytes:
    """The body of a recorded answer."""
    return (RECORDINGS / f"{name}.stream.txt").read_bytes().partition(b"\n\n")[2]


def path_for(model: str, method: str = "generateContent") -> str:
    """The path of a method of a model."""
    query = "?alt=sse" if method == "streamGenerateContent" else ""
    return f"/v1beta/models/{model}:{method}{query}"


async def ask(
    nexus: Nexus, body: dict[str, Any], model: str = "m", *, stream: bool = False, **headers: str
) -> httpx.Response:
    """Ask as Gemini CLI does, and read the whole answer."""
    method = "streamGenerateContent" if stream else "generateContent"
    given = {"x-goog-api-key": KEY, **headers}
    return await nexus.http.post(path_for(model, method), json=body, headers=given)


def chunks_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream; each has to be valid for Google's client."""
    found: list[dict[str, Any]] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        if block.strip():
            assert block.startswith("data: "), block
            found.append(json.loads(block.removeprefix("data: ")))
            if "error" not in found[-1]:
                check_answer(found[-1])
    return found


def check_answer(answer: dict[str, Any]) -> types.GenerateContentResponse:
    """Fails where Google's types know an answer otherwise: they forbid unknown fields."""
    return types.GenerateContentResponse.model_validate_json(json.dumps(answer))


def parts_in(chunks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All parts of a stream's first candidate."""
    for chunk in chunks:
        for candidate in chunk.get("candidates", ())[:1]:
            yield from candidate["content"]["parts"]


@asynccontextmanager
async def sdk(nexus: Nexus, **options: Any) -> AsyncIterator[Any]:
    """Google's own client, as it asks when it knows no version."""
    async with httpx.AsyncClient() as over:
        http = types.HttpOptions(
            base_url=str(nexus.http.base_url), httpx_async_client=over, **options
        )
        client = genai.Client(api_key=KEY, vertexai=False, http_options=http)
        yield client.aio
        client.close()
