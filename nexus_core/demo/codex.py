"""A demo agent like Codex: it asks /v1/responses, one session after the other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from random import Random
from uuid import UUID

import httpx

from nexus_core.demo.agents import TASKS, Turn
from nexus_core.demo.backends import CODEX, TOOL_PREFIX
from nexus_core.types import JsonObject, is_object

_MOST_ROUNDS = 9  # requests of one session
_GUIDE = "You are a coding agent of the demo. Read before you write, and run the tests after it. "
_SHELL: JsonObject = {
    "type": "function",
    "name": f"{TOOL_PREFIX}shell",
    "description": "Run a command",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
    },
}
_RESULT = "tests/test_queue.py ...F.. 1 failed, 5 passed\n" * 8


class ResponsesAgent:
    """An agent whose turns are lists of items that grow."""

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
        """One session: a task, and what the tools say to it."""
        session = str(UUID(int=self._random.getrandbits(128), version=4))
        items = [_message("developer", _GUIDE * 30)]
        for _ in range(self._random.randint(4, _MOST_ROUNDS)):
            asked = [_result(call) for call in _open_calls(items)]
            asked = asked or [_message("user", self._random.choice(TASKS))]
            async with self._turn():
                answer = await self._answer([*items, *asked], session)
            if answer:  # else it failed: the dashboard shows why, and it is said again
                items += [*asked, *answer]

    async def _answer(self, items: list[JsonObject], session: str) -> list[JsonObject]:
        """The items of the answer; none where it failed."""
        body = {
            "model": CODEX,
            "input": items,
            "tools": [_SHELL],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "store": False,
            "stream": True,
            "prompt_cache_key": session,
        }
        headers = {
            "User-Agent": "codex_exec/0.171.0 (demo)",
            "originator": "codex_exec",
            "session-id": session,
            "thread-id": session,
        }
        try:
            async with self._client.stream(
                "POST", "/v1/responses", json=body, headers=headers
            ) as answer:
                return await _items(answer.aiter_lines()) if answer.is_success else []
        except httpx.HTTPError:
            return []


def _message(role: str, text: str) -> JsonObject:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": "input_text", "text": text}],
    }


def _result(call: JsonObject) -> JsonObject:
    return {"type": "function_call_output", "call_id": call["call_id"], "output": _RESULT}


def _open_calls(items: list[JsonObject]) -> list[JsonObject]:
    """Those that have no result yet."""
    given = {one["call_id"] for one in items if one["type"] == "function_call_output"}
    return [one for one in items if one["type"] == "function_call" and one["call_id"] not in given]


async def _items(lines: AsyncIterator[str]) -> list[JsonObject]:
    """The items of a stream; none where it does not come to its end."""
    items: list[JsonObject] = []
    async for line in lines:
        if not line.startswith("data:"):
            continue
        try:
            event: object = json.loads(line.removeprefix("data:"))
        except ValueError:
            continue
        if not is_object(event):
            continue
        if event.get("type") == "response.output_item.done":
            items.append(event["item"])
        elif event.get("type") in ("response.completed", "response.incomplete"):
            return items
    return []
