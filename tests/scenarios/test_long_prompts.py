"""Prompts of megabytes: read beside the loop, and as long where they are only counted."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from nexus_core.api.inference.serve import LONG_FOREIGN_BYTES, LONG_PROMPT_BYTES
from nexus_core.dialects.inbound import INBOUND
from nexus_core.dialects.request import Request
from nexus_core.types import Operation
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import answers
from tests.scenarios.every_api import CHATS
from tests.scenarios.messages import SHORT, local
from tests.scenarios.nexus import running, upstreams

LONG: dict[str, Any] = SHORT | {"messages": [{"role": "user", "content": "word " * 250_000}]}
AS_GOOGLE = {"contents": [{"role": "user", "parts": [{"text": "word " * 250_000}]}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/messages/count_tokens", LONG), ("/v1beta/models/m:countTokens", AS_GOOGLE)],
)
async def test_a_prompt_of_a_megabyte_is_counted(path: str, body: dict[str, Any]) -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post(path, json=body)

    assert answer.status_code == 200, answer.text
    assert next(iter(answer.json().values())) > 200_000


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("api", ["chat", "messages", "responses", "ollama"])
async def test_a_long_prompt_is_read_beside_the_loop(
    api: str, is_long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = CHATS[api]
    dialect = INBOUND[path.partition("?")[0]].dialect
    read, threads = dialect.read_request, list[bool]()

    def noted(_: object, operation: Operation, data: bytes, request_id: str = "") -> Request:
        threads.append(threading.current_thread() is threading.main_thread())
        return read(operation, data, request_id)

    monkeypatch.setattr(type(dialect), "read_request", noted)
    size = LONG_PROMPT_BYTES if api == "chat" else LONG_FOREIGN_BYTES
    more = {"metadata": {"x": "y" * size}} if is_long else {}
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post(path, content=json.dumps(body | more).encode())

    assert answer.status_code == 200, answer.text
    assert threads == [not is_long]
