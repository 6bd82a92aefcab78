"""Claude Code, Codex, Gemini CLI and opencode, started by `nexus run`, on each kind of backend.

A scripted model has each of them read a file with its own tool, and says what is in it. Skipped
where a program is not installed: `make test-programs` says how. NEXUS_TRANSCRIPTS=FOLDER keeps what
they wrote, and what their backend was asked.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.scripted_upstream import ScriptedUpstream
from tests.programs.machine import SAID, WORD, prepared
from tests.programs.running import (
    CLIENT_KEY,
    KEY,
    PROGRAMS,
    configure,
    installed,
    keep,
    run,
    upstream,
)

__all__ = ["upstream"]

pytestmark = [pytest.mark.programs, pytest.mark.timeout(180)]

BACKENDS = {"generic": "restricted", "anthropic": "open", "openai": "open", "google": "open"}


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_turn_with_a_tool(
    program: str, kind: str, tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    installed(program)
    upstream.script = machine = prepared(tmp_path)
    config = configure(tmp_path, kind, upstream.url)

    done = await run(
        tmp_path,
        *("run", program, "--config", str(config), "--port", "0", "--model", "m"),
        *("--privacy", BACKENDS[kind], "--", *PROGRAMS[program]),
        BACKEND_KEY=KEY,
        NEXUS_API_KEYS=CLIENT_KEY,
    )

    keep(f"{program}-{kind}", done, machine, tmp_path)
    assert done.code == 0, done
    assert SAID in done.stdout, done
    assert any(WORD in json.dumps(body) for _, body in machine.asked)  # by its own tool
    assert CLIENT_KEY not in json.dumps(machine.asked)
