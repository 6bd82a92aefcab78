"""Claude Code where things go wrong: it must do what helps, and at once."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.contract.scripted_upstream import Exchange, ScriptedUpstream, answers, streams
from tests.programs.machine import FILE, LIST, SAID, WORD, Machine, prepared
from tests.programs.running import configure, installed, keep, run, upstream

__all__ = ["upstream"]

pytestmark = [pytest.mark.programs, pytest.mark.timeout(180)]

# llama.cpp's words, tools/server/server-context.cpp.
TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (90000 tokens) exceeds the available context size (65536 tokens), "
        "try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 90000,
        "n_ctx": 65536,
    }
}
ASK = ("claude", "--model", "m", "--port", "0", "--")


async def turn(tmp_path: Path, upstream: ScriptedUpstream, machine: Machine, name: str) -> str:
    """What Claude Code says at the end of a turn."""
    installed("claude")
    config = configure(tmp_path, "generic", upstream.url)
    words = ("run", "--config", str(config), *ASK, "-p", f"Read {LIST} and tell me what it says.")
    done = await run(tmp_path, *words)
    keep(name, done, machine, tmp_path)
    return done.stdout


async def test_a_prompt_that_is_too_long_is_compacted(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """With some turns behind it: it keeps the last."""
    machine = prepared(tmp_path)
    refused: list[str] = []

    async def script(exchange: Exchange) -> None:
        results = exchange.body.count(b'"role":"tool"') + exchange.body.count(b'"role": "tool"')
        if not refused and results == 2:
            refused.append(exchange.target)
            await answers(TOO_LONG, 400)(exchange)
        else:
            await machine(exchange)

    upstream.script = script

    said = await turn(tmp_path, upstream, machine, "claude-too-long")

    assert refused
    assert SAID in said
    assert any("<summary>" in json.dumps(body) for _, body in machine.asked)


def picture() -> bytes:
    """A white square as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    size = (16).to_bytes(4, "big")
    rows = zlib.compress(b"".join(b"\x00" + b"\xff" * 48 for _ in range(16)))
    head = chunk(b"IHDR", size + size + bytes([8, 2, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_a_picture_and_a_text_are_read_at_once(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    machine = prepared(tmp_path)
    (tmp_path / "work" / "picture.png").write_bytes(picture())
    told: list[Any] = []

    async def script(exchange: Exchange) -> None:
        body = json.loads(exchange.body)
        results = [message for message in body["messages"] if message["role"] == "tool"]
        if body.get("tools") and not results:
            await streams(two_calls(machine.folder))(exchange)
        else:
            told.append(body["messages"])
            await machine(exchange)

    upstream.script = script

    said = await turn(tmp_path, upstream, machine, "claude-picture")

    assert SAID in said
    last = told[-1]
    start = next(place for place, one in enumerate(last) if one["role"] == "tool")
    first, second, picture_of = last[start : start + 3]
    assert [first["tool_call_id"], second["tool_call_id"]] == ["call_picture", "call_note"]
    assert WORD in json.dumps(second)
    kinds = [part["type"] for part in picture_of["content"]]
    assert (picture_of["role"], "image_url" in kinds) == ("user", True)


def two_calls(folder: str) -> list[bytes]:
    calls = [
        {
            "index": number,
            "id": f"call_{name}",
            "type": "function",
            "function": {
                "name": "Read",
                "arguments": json.dumps({"file_path": f"{folder}/{file}"}),
            },
        }
        for number, (name, file) in enumerate((("picture", "picture.png"), ("note", FILE)))
    ]
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [
        {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "tool_calls"},
    ]
    chunks = [json.dumps({**base, "choices": [choice]}) for choice in choices]
    return [f"data: {chunk}\n\n".encode() for chunk in (*chunks, "[DONE]")]
