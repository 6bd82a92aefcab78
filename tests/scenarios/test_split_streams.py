"""Streams split at every byte, passed and translated, on each inbound API: the same answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import pytest

from nexus_core.config.schema import BackendConfig, ServerConfig
from nexus_core.dialects.inbound import inbound_at
from nexus_core.observe.events import TokenUsage
from nexus_core.providers import AgentSettings, create_agent
from nexus_core.providers.base import InferenceAgent
from nexus_core.providers.prepared import prepared
from nexus_core.proxy.deadlines import Deadlines
from nexus_core.proxy.exchange import Exchange
from nexus_core.upstream.base import UpstreamRequest, UpstreamResponse
from tests.proxy.fakes import RecordingReply, ScriptedResponse
from tests.scenarios import responses
from tests.scenarios.gemini_api import recorded_stream as google_stream
from tests.scenarios.messages import (
    THINKING_AND_CALLS,
    claude,
    gemini,
    local,
    openai,
    recorded_stream,
)
from tests.scenarios.ollama_api import STREAM, native

SERVER = ServerConfig()
IDS = {
    "id",
    "item_id",
    "created_at",
    "completed_at",
    "responseId",
    "created",
    "total_duration",
    "eval_duration",
}
IDS |= {"prompt_eval_duration", "load_duration"}


class Engine:
    """Answers with one stream, in these parts."""

    def __init__(self) -> None:
        self.parts: tuple[bytes, ...] = ()

    async def send(
        self, request: UpstreamRequest, *, connect_timeout_seconds: float
    ) -> UpstreamResponse:
        return cast("UpstreamResponse", ScriptedResponse(*self.parts))

    def stop_unsent(self) -> None:
        """Nothing is being written."""

    async def close(self) -> None:
        """Nothing is open."""


def plain(value: Any) -> Any:
    """The same without what differs each time."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in IDS}
    return [plain(one) for one in value] if isinstance(value, list) else value


def data_of(told: str) -> list[Any]:
    """The data of all events."""
    lines = [line[5:].strip() for line in told.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def added_up(pieces: list[Any]) -> Any:
    """What pieces of an answer say together: texts in a row are one, values the last ones."""
    whole: Any = None
    for piece in pieces:
        whole = _joined(whole, plain(piece))
    return whole


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        more = {key: _joined(first.get(key), value) for key, value in second.items()}
        return {**first, **more}
    if isinstance(first, str) and isinstance(second, str):
        return first + second
    return first if second is None else second


def of_chat(told: str) -> Any:
    events = data_of(told)
    assert told.endswith("data: [DONE]\n\n")
    deltas = [one["delta"] for event in events for one in event["choices"]]
    calls = [call for delta in deltas for call in delta.pop("tool_calls", ())]
    by_index = [added_up([c for c in calls if c["index"] == number]) for number in range(3)]
    ends = [one["finish_reason"] for event in events for one in event["choices"]]
    return added_up(deltas), by_index, [end for end in ends if end], events[-1].get("usage")


def of_messages(told: str) -> Any:
    events = data_of(told)
    names = [line[7:] for line in told.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in events]
    blocks: dict[int, list[Any]] = {}
    for event in events:
        if "index" in event:
            piece = {k: v for k, v in event.items() if k not in ("type", "index")}
            blocks.setdefault(event["index"], []).append(piece)
    ends = [event for event in events if event["type"] in ("message_delta", "message_stop")]
    return {index: added_up(pieces) for index, pieces in blocks.items()}, ends


def of_responses(told: str) -> Any:
    events = responses.events_of(told)
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    return plain(items), plain(events[-1]["response"])


def of_google(told: str) -> Any:
    return _candidates(data_of(told))


def of_google_array(told: str) -> Any:
    return _candidates(json.loads(told))


def _candidates(chunks: list[Any]) -> Any:
    chunks = [chunk for chunk in chunks if chunk]  # the first one may be empty
    said: list[Any] = []
    for part in (part for one in chunks for part in one["candidates"][0]["content"]["parts"]):
        if said and "text" in part and said[-1].keys() == part.keys():
            said[-1] = {**part, "text": said[-1]["text"] + part["text"]}
        elif part != {"text": ""}:
            said.append(part)
    return (
        plain(said),
        plain(chunks[-1]["candidates"][0]["finishReason"]),
        chunks[-1]["usageMetadata"],
    )


def of_ollama(told: str) -> Any:
    lines = [json.loads(line) for line in told.splitlines()]
    messages = [one.pop("message") for one in lines]
    calls = [call for message in messages for call in message.pop("tool_calls", ())]
    return added_up(messages)["content"], plain(calls), plain(lines[-1])


class Api(NamedTuple):
    """One inbound API: where it is asked, with what, and what an answer of it says."""

    path: str
    body: dict[str, Any]
    said: Callable[[str], Any]


HELLO = [{"role": "user", "content": "hi"}]
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
APIS = {
    "chat": Api(
        "/v1/chat/completions",
        {"messages": HELLO, "stream_options": {"include_usage": True}},
        of_chat,
    ),
    "messages": Api("/v1/messages", {"messages": HELLO, "max_tokens": 99}, of_messages),
    "responses": Api("/v1/responses", {"input": "hi"}, of_responses),
    "gemini": Api("/v1beta/models/m:streamGenerateContent?alt=sse", CONTENTS, of_google),
    "gemini array": Api("/v1beta/models/m:streamGenerateContent", CONTENTS, of_google_array),
    "ollama": Api("/api/chat", {"messages": HELLO}, of_ollama),
}

URL = "http://127.0.0.1:9"
CHAT = b"".join(THINKING_AND_CALLS)
CASES: list[tuple[str, BackendConfig, bytes]] = [
    *((api, local(URL), CHAT) for api in APIS),
    ("messages", claude(URL), recorded_stream("02-turn-1")),
    *((api, claude(URL), recorded_stream("04-thinking-turn-1")) for api in APIS),
    *((api, gemini(URL), google_stream("03-turn-2").replace(b"\n", b"\r\n")) for api in APIS),
    ("responses", openai(URL), responses.recorded_stream("02-turn-2")),
    ("responses", openai(URL), responses.recorded_stream("09-smallest-stream-it-takes")),
    ("responses", local(URL, apis=("responses",)), responses.recorded_stream("01-turn-1")),
    ("messages", local(URL, apis=("messages",)), recorded_stream("02-turn-1")),
    ("messages", local(URL, apis=("messages",)), recorded_stream("17-smallest-stream-it-takes")),
    ("gemini", gemini(URL), google_stream("02-turn-1")),
    ("ollama", native(URL), b"".join(STREAM)),
]


async def answered(
    agent: InferenceAgent, api: Api, number: int
) -> tuple[bytes, TokenUsage | None, bool]:
    """What a client gets, what is known of its usage, and whether the bytes passed."""
    path, _, query = api.path.partition("?")
    found = inbound_at(path, query)
    assert found is not None
    body = json.dumps({"model": "m", "stream": True, **api.body}).encode()
    request = found.dialect.read_request(found.operation, body, f"r{number}")
    call = await prepared(agent, request, "m")
    exchange = Exchange(agent, SERVER, Deadlines(), lambda: True)
    answer = await exchange.open(call, 60)
    reply = RecordingReply()
    assert answer.relay is not None
    await answer.relay.pass_on(reply, 60)
    await exchange.close()
    return reply.body, answer.relay.usage, call.writer is None and not agent.translates


@pytest.mark.parametrize(
    ("name", "config", "told"),
    CASES,
    ids=[f"{api}-{config.name}-{len(told)}" for api, config, told in CASES],
)
async def test_a_stream_reads_the_same_wherever_it_is_split(
    name: str, config: BackendConfig, told: bytes
) -> None:
    api, engine = APIS[name], Engine()
    agent = create_agent(config, engine, AgentSettings(connect_timeout_seconds=1))
    engine.parts = (told,)
    whole, usage, is_passed = await answered(agent, api, 0)
    said = api.said(whole.decode())

    assert usage is not None
    assert not is_passed or whole == told or name == "gemini array"
    for cut in range(1, len(told)):
        engine.parts = told[:cut], told[cut:]
        shown, counted, _ = await answered(agent, api, cut)
        assert counted == usage, cut
        if shown != whole:
            assert api.said(shown.decode()) == said, cut
