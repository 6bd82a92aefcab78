"""A llama.cpp server of this machine behind Nexus, in every API: what is real is the oracle.

LLAMA_MODEL=FILE.gguf is the model, any that chats; LLAMA_SERVER is the program, or llama-server is
found on the PATH. Skipped without them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from tests.scenarios.nexus import Nexus, backend, running
from tests.waiting import until

pytestmark = [pytest.mark.programs, pytest.mark.timeout(180)]

_LISTENS = re.compile(rb"listening on (http://[0-9.]+:\d+)")
_WINDOW = 4096
FORM = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}},
    "required": ["a"],
    "additionalProperties": False,
}
HI = [{"role": "user", "content": "Say hi."}]
PARTS = [{"role": "user", "parts": [{"text": "Say hi."}]}]


@asynccontextmanager
async def served(*more: str) -> AsyncIterator[str]:
    """The server's URL, once it has its model."""
    program = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    model = os.environ.get("LLAMA_MODEL")
    if program is None or model is None:
        pytest.skip("no llama.cpp: set LLAMA_SERVER=PROGRAM and LLAMA_MODEL=FILE.gguf")
    process = await asyncio.create_subprocess_exec(
        *(program, "--host", "127.0.0.1", "--port", "0", "-m", model, "--alias", "m"),
        *("-c", str(_WINDOW), "-np", "1", "--jinja", *more),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told = bytearray()

    async def read() -> None:
        assert process.stdout is not None
        while piece := await process.stdout.read(4096):
            told.extend(piece)

    reading = asyncio.ensure_future(read())
    try:
        await until(lambda: _LISTENS.search(told) is not None, 60)
        found = _LISTENS.search(told)
        assert found is not None
        yield found.group(1).decode()
    finally:
        process.kill()
        await process.wait()
        await reading


@asynccontextmanager
async def llama() -> AsyncIterator[Nexus]:
    """Nexus with that server, whose APIs are known."""
    async with (
        served() as url,
        running(backend("gpu", url, type=BackendType.LLAMACPP)) as nexus,
    ):
        await until(lambda: nexus.backend("gpu").apis == ("chat", "messages", "responses"))
        yield nexus


async def _post(nexus: Nexus, path: str, body: dict[str, Any]) -> Any:
    answer = await nexus.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_api_is_answered_whole_and_streamed_with_its_usage() -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", {"model": "m", "messages": HI, "max_tokens": 8}),
        ("/v1/completions", {"model": "m", "prompt": "Once", "max_tokens": 8}),
        ("/v1/messages", {"model": "m", "messages": HI, "max_tokens": 8}),
        ("/v1/responses", {"model": "m", "input": "Say hi.", "max_output_tokens": 8}),
        ("/api/chat", {"model": "m", "messages": HI, "options": {"num_predict": 8}}),
    ]
    google = {"contents": PARTS, "generationConfig": {"maxOutputTokens": 8}}
    async with llama() as nexus:
        for path, body in asked:
            await _post(nexus, path, body | {"stream": False})
            answer = await nexus.http.post(path, json=body | {"stream": True})
            assert answer.status_code == 200, answer.text
        await _post(nexus, "/v1beta/models/m:generateContent", google)
        answer = await nexus.http.post("/v1beta/models/m:streamGenerateContent", json=google)
        assert answer.status_code == 200, answer.text
        window = nexus.backend("gpu").details["m"].context_tokens

    finished = nexus.finished()
    assert len(finished) == 12
    assert {one.error_code for one in finished} == {None}
    assert all(one.usage is not None and one.usage.completion_tokens > 0 for one in finished)
    assert window == _WINDOW


async def test_a_form_holds_in_every_api() -> None:
    schema = {"name": "x", "schema": FORM}
    wanted = {"type": "json_schema", **schema}
    async with llama() as nexus:
        chat = await _post(
            nexus,
            "/v1/chat/completions",
            {
                "model": "m",
                "messages": HI,
                "response_format": {"type": "json_schema", "json_schema": schema},
            },
        )
        messages = await _post(
            nexus,
            "/v1/messages",
            {
                "model": "m",
                "messages": HI,
                "max_tokens": 400,
                "output_config": {"format": {"type": "json_schema", "schema": FORM}},
            },
        )
        responses = await _post(
            nexus, "/v1/responses", {"model": "m", "input": "hi", "text": {"format": wanted}}
        )
        ollama = await _post(
            nexus, "/api/chat", {"model": "m", "messages": HI, "format": FORM, "stream": False}
        )

        anything = await _post(
            nexus,
            "/api/chat",
            {
                "model": "m",
                "messages": HI,
                "format": "json",
                "stream": False,
                "options": {"num_predict": 40},
            },
        )

    assert anything["message"]["content"].lstrip().startswith("{")
    texts = [
        chat["choices"][0]["message"]["content"],
        messages["content"][-1]["text"],
        responses["output"][-1]["content"][0]["text"],
        ollama["message"]["content"],
    ]
    for text in texts:
        assert isinstance(json.loads(text)["a"], bool)


async def test_tools_that_are_no_functions_are_in_the_prompt() -> None:
    described = "Patches files. " * 40
    tool = {"type": "custom", "name": "apply_patch", "description": described}
    body = {"model": "m", "input": "hi", "max_output_tokens": 4}
    async with llama() as nexus:
        await _post(nexus, "/v1/responses", body)
        await _post(nexus, "/v1/responses", body | {"tools": [tool]})

    without, offered = (one.usage.prompt_tokens for one in nexus.finished() if one.usage)
    assert offered > without + 40


async def test_a_prompt_that_is_too_long_is_told_in_every_api() -> None:
    text = "zq xj 9 kw " * 1400
    async with llama() as nexus:
        answers = [
            await nexus.http.post(path, json={"model": "m", "max_tokens": 4, **body})
            for path, body in (
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}),
                ("/v1/messages", {"messages": [{"role": "user", "content": text}]}),
                ("/v1/responses", {"input": text}),
            )
        ]

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"


async def test_a_wrong_key_is_found_before_a_request() -> None:
    async with (
        served("--api-key", "sk-right-0123456789") as url,
        running(
            backend("wrong", url, type=BackendType.LLAMACPP, api_key="sk-wrong-0123456789"),
            backend(
                "right",
                url,
                type=BackendType.LLAMACPP,
                models={"m2": "m"},
                api_key="sk-right-0123456789",
            ),
        ) as nexus,
    ):
        refused = await nexus.ask(max_tokens=4)
        served_one = await nexus.ask("m2", max_tokens=4)

    assert refused.status_code == 503
    assert "401" in refused.json()["error"]["message"]
    assert served_one.status_code == 200


async def test_a_client_that_leaves_a_stream_stops_the_server() -> None:
    asked = {"model": "m", "messages": HI, "stream": True, "ignore_eos": True}
    async with (
        served("--slots") as url,
        running(backend("gpu", url, type=BackendType.LLAMACPP)) as nexus,
    ):

        async def is_idle() -> bool:
            slots = (await nexus.http.get(f"{url}/slots")).json()
            return not any(slot["is_processing"] for slot in slots)

        async with nexus.http.stream("POST", "/v1/chat/completions", json=asked) as answer:
            assert answer.status_code == 200
            await anext(answer.aiter_bytes())
        await until(is_idle)
    (finished,) = nexus.finished()
    assert finished.client_left
