"""Claude Code where things go wrong: it must do what helps, and at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.scripted_upstream import Exchange, ScriptedUpstream, answers
from tests.programs.machine import LIST, SAID, Machine, prepared
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
