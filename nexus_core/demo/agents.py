"""Demo agents: clients that work in sessions, turn by turn, with tools and subagents."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias
from uuid import UUID

import httpx

from nexus_core.demo.backends import CLAUDE, HAIKU, TOOL_PREFIX
from nexus_core.types import JsonObject, is_object

Turn: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]

_MOST_ROUNDS = 12  # requests of one conversation
_SUBAGENT_SHARE = 0.5  # of the sessions
_SUBAGENT_ROUNDS = 2
_MAX_TOKENS = 4096

_GUIDE = (
    "You work on the code of a person who asks you to. Read before you write, run the tests after "
    "it, and say in a sentence what you did. "
)
_SYSTEM: list[JsonObject] = [
    {"type": "text", "text": "You are a coding agent of the demo."},
    {"type": "text", "text": _GUIDE * 40, "cache_control": {"type": "ephemeral"}},
]
TASKS = (
    "The test of the queue fails now and then. Find out why.",
    "Add a --json flag to the list command, with a test.",
    "Rename Worker to Runner everywhere.",
    "Why does the start take two seconds? Make it faster.",
)
_LOOK_AROUND = "Find every place that calls the old function, and list them."


def _tool(name: str, what: str, *arguments: str) -> JsonObject:
    properties = {argument: {"type": "string"} for argument in arguments}
    schema = {"type": "object", "properties": properties, "required": [*arguments]}
    return {"name": TOOL_PREFIX + name, "description": what, "input_schema": schema}


_TOOLS = [
    _tool("read", "Read a file", "file_path"),
    _tool("bash", "Run a command", "command"),
    _tool("edit", "Replace text in a file", "file_path", "old_string", "new_string"),
]
_RESULT = "src/queue.py:41: while not self._done:\n" * 12


@dataclass(slots=True)
class _Conversation:
    """The main loop of a session, or one of its subagents."""

    model: str
    headers: dict[str, str]
    messages: list[JsonObject] = field(default_factory=list)

    def say(self, text: str) -> None:
        self._add([{"type": "text", "text": text}])

    def give_results(self, calls: list[JsonObject]) -> None:
        self._add(
            [
                {"type": "tool_result", "tool_use_id": call["id"], "content": _RESULT}
                for call in calls
            ]
        )

    def body(self) -> JsonObject:
        return {
            "model": self.model,
            "max_tokens": _MAX_TOKENS,
            "system": _SYSTEM,
            "tools": _TOOLS,
            "messages": self.messages,
            "stream": True,
        }

    def _add(self, content: list[JsonObject]) -> None:
        """The last block is where what has to be cached ends, as Claude Code marks it."""
        for message in self.messages:
            for block in message["content"]:
                block.pop("cache_control", None)
        content[-1]["cache_control"] = {"type": "ephemeral"}
        self.messages.append({"role": "user", "content": content})


class MessagesAgent:
    """An agent like Claude Code: it asks /v1/messages, one session after the other."""

    def __init__(self, client: httpx.AsyncClient, random: Random, turn: Turn) -> None:
        """`turn` begins when the next request may be sent, and lasts until its answer ends."""
        self._client = client
        self._random = random
        self._turn = turn

    async def work(self) -> None:
        """Work in one session after the other, for ever."""
        while True:
            await self.session()

    async def session(self) -> None:
        """One session: a task, its tools, perhaps a subagent that looks around meanwhile."""
        random = self._random
        headers = {
            "User-Agent": "claude-cli/2.1.197 (external, cli)",
            "x-app": "cli",
            "anthropic-version": "2023-06-01",
            "X-Claude-Code-Session-Id": str(UUID(int=random.getrandbits(128), version=4)),
        }
        main = _Conversation(CLAUDE, headers)
        has_subagent = random.random() < _SUBAGENT_SHARE
        for number in range(random.randint(5, _MOST_ROUNDS)):
            if number == 1 and has_subagent:
                name = {"x-claude-code-agent-id": f"{random.getrandbits(32):08x}"}
                await self._rounds(_Conversation(HAIKU, headers | name), _LOOK_AROUND)
            await self._round(main, random.choice(TASKS))

    async def _rounds(self, talk: _Conversation, task: str) -> None:
        for _ in range(_SUBAGENT_ROUNDS):
            await self._round(talk, task)

    async def _round(self, talk: _Conversation, task: str) -> None:
        """One request: the results of the last calls, else the next task."""
        last = talk.messages[-1] if talk.messages else None
        calls = [] if last is None else [x for x in last["content"] if x["type"] == "tool_use"]
        if calls:
            talk.give_results(calls)
        else:
            talk.say(task)
        async with self._turn():
            answer = await self._answer(talk)
        if answer:
            talk.messages.append({"role": "assistant", "content": answer})
        else:  # it failed: the dashboard shows why, and the next request says it again
            talk.messages.pop()

    async def _answer(self, talk: _Conversation) -> list[JsonObject]:
        """The blocks of the answer; none where it failed."""
        try:
            async with self._client.stream(
                "POST", "/v1/messages", params={"beta": "true"}, json=talk.body(),
                headers=talk.headers,
            ) as answer:  # fmt: skip
                return await _blocks(answer.aiter_lines()) if answer.is_success else []
        except httpx.HTTPError:
            return []


async def _blocks(lines: AsyncIterator[str]) -> list[JsonObject]:
    """The text and the calls of a stream; none where it does not come to its end."""
    blocks: list[JsonObject] = []
    said: list[str] = []
    async for line in lines:
        if not line.startswith("data:"):
            continue
        event = _object(line.removeprefix("data:"))
        match event.get("type"):
            case "content_block_start":
                blocks.append(dict(event["content_block"]))
                said = []
            case "content_block_delta":
                delta = event["delta"]
                said.append(str(delta.get("text") or delta.get("partial_json") or ""))
            case "content_block_stop":
                _complete(blocks[-1], "".join(said))
            case "message_stop":
                return [block for block in blocks if block["type"] in ("text", "tool_use")]
            case _:
                pass
    return []


def _complete(block: JsonObject, said: str) -> None:
    if block["type"] == "tool_use":
        block["input"] = _object(said)
    elif block["type"] == "text":
        block["text"] = said
        block.pop("citations", None)


def _object(text: str) -> JsonObject:
    try:
        parsed: object = json.loads(text or "{}")
    except ValueError:
        return {}
    return parsed if is_object(parsed) else {}
