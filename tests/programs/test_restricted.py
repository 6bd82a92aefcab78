"""A restricted program's words go to no open backend, and it says so at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.scripted_upstream import ScriptedUpstream
from tests.programs.machine import prepared
from tests.programs.running import KEY, PROGRAMS, configure, installed, keep, run, upstream

__all__ = ["upstream"]

pytestmark = [pytest.mark.programs, pytest.mark.timeout(180)]

SECONDS = 45  # most of it is the program's own start
PATIENT = ("gemini", "opencode")  # ask every 503 again for minutes, and obey no header


@pytest.mark.parametrize("program", PROGRAMS)
async def test_nothing_leaves_and_nothing_is_waited_for(
    program: str, tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    installed(program)
    upstream.script = machine = prepared(tmp_path)
    config = configure(tmp_path, "openai", upstream.url)
    words = ("run", program, "--config", str(config), "--port", "0", "--model", "m")
    ask = (*words, "--privacy", "restricted", "--", *PROGRAMS[program])

    done = await run(tmp_path, *ask, seconds=SECONDS, BACKEND_KEY=KEY)

    keep(f"{program}-restricted", done, machine, tmp_path)
    assert upstream.received == []
    if program not in PATIENT:
        assert done.code > 0
        assert "restricted" in f"{done.stdout}{done.stderr}"
