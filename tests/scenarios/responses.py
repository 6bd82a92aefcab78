"""Recorded requests of Codex, and OpenAI's own client of the Responses API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.contract.bodies import DONE, event
from tests.contract.scripted_upstream import Script, streams
from tests.scenarios.messages import USAGE, call_piece
from tests.scenarios.nexus import Nexus

RESPONSES = "/v1/responses"
RECORDINGS = Path(__file__).parents[1] / "data" / "codex"
TURNS = sorted(path.stem for path in RECORDINGS.glob("*.json") if "websocket" not in path.stem)
STREAMS = sorted(
    path.name.removesuffix(".stream.txt")
    for path in RECORDINGS.glob("*.stream.txt")
    if "failed" not in path.name
)
SHORT: dict[str, Any] = {"model": "m", "input": "hi"}
ENCRYPTED = ["reasoning.encrypted_content"]
WITH_REASONING: dict[str, Any] = {
    "include": ENCRYPTED,
    "reasoning": {"summary": "auto", "effort": "low"},
}
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def recorded(name: str) -> dict[str, Any]:
    """One recorded request: its headers as they came, and its body."""
    found = json.loads((RECORDINGS / f"{name}.json").read_text())
    one: dict[str, Any] = found[0] if isinstance(found, list) else found
    return one


def body_of(name: str, **more: Any) -> dict[str, Any]:
    """The body of a recorded request for the model `m`."""
    body: dict[str, Any] = recorded(name)["body"]
    return body | {"model": "m"} | more


def headers_of(name: str) -> dict[str, str]:
    """Headers of a recorded request, beside those of its connection."""
    pairs = (line.split(": ", 1) for line in recorded(name)["headers"])
    own = {"host", "connection", "accept-encoding", "content-length", "content-type"}
    return {key: value for key, value in pairs if key.lower() not in own}


def recorded_stream(name: str) -> bytes:
    """The body of a recorded answer."""
    text = (RECORDINGS / f"{name}.stream.txt").read_bytes()
    return text.partition(b"\n\n")[2]


@asynccontextmanager
async def sdk(nexus: Nexus) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client."""
    base_url = f"{nexus.http.base_url}/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        yield client


async def streamed(nexus: Nexus, **fields: Any) -> Response:
    """Ask with the SDK's streaming helper; what it added up."""
    async with sdk(nexus) as client, client.responses.stream(**fields) as stream:
        async for _ in stream:
            pass
        made: Response = await stream.get_final_response()
        return made


async def ask(nexus: Nexus, body: dict[str, Any], **headers: str) -> httpx.Response:
    """Ask, and read the whole answer."""
    return await nexus.http.post(RESPONSES, json=body, headers=headers)


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream: each has its name, its number, and the form that the SDK knows."""
    found: list[dict[str, Any]] = []
    for block in text.split("\n\n"):
        if not block.strip() or block.startswith(":"):
            continue
        name, data = block.split("\n")
        fields = json.loads(data.removeprefix("data: "))
        assert name == f"event: {fields['type']}"
        assert fields["sequence_number"] == len(found)
        found.append(fields)
    return found


def check_events(events: list[dict[str, Any]]) -> None:
    """Fails where the SDK's types know an event otherwise, or an id changes."""
    ids: dict[int, str] = {}
    for fields in events:
        if not fields["type"].startswith("response.failed"):
            _EVENT.validate_python(fields)
        if "item" in fields:
            index = fields["output_index"]
            assert ids.setdefault(index, fields["item"]["id"]) == fields["item"]["id"]
        if "item_id" in fields:
            assert ids[fields["output_index"]] == fields["item_id"]
    assert len({one["response"]["id"] for one in events if "response" in one}) == 1


def calls_stream(*calls: tuple[str, str], text: str = "") -> Script:
    """An answer of a chat server that calls tools: names and arguments."""
    pieces = [event({"role": "assistant", "content": None})]
    if text:
        pieces.append(event({"content": text}))
    for index, (name, arguments) in enumerate(calls):
        middle = len(arguments) // 2
        pieces.append(call_piece(index, arguments[:middle], id=f"call_{index}", name=name))
        pieces.append(call_piece(index, arguments[middle:]))
    return streams([*pieces, event({}, "tool_calls"), USAGE, DONE])
