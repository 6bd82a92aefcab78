"""A restricted program's words go to no open backend, and it says so at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.nexus_process import NexusProcess
from tests.contract.scripted_upstream import ScriptedUpstream
from tests.programs.machine import prepared
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

SECONDS = 45  # most of it is the program's own start
PATIENT = ("gemini", "opencode")  # ask every 503 again for minutes, and obey no header


@pytest.mark.parametrize("program", PROGRAMS)
async def test_nothing_leaves_and_nothing_is_waited_for(
    program: str, tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    installed(program)
    upstream.script = machine = prepared(tmp_path)
    config = configure(tmp_path, "openai", upstream.url)
    nexus = NexusProcess(tmp_path)
    keys = {"BACKEND_KEY": KEY, "NEXUS_API_KEYS": CLIENT_KEY, "NEXUS_ADMIN_KEY": f"{CLIENT_KEY}-2"}
    await nexus.start(["--config", str(config)], keys)
    words = ("run", program, "--url", nexus.url, "--model", "m", "--privacy", "restricted")

    # Without the admin's key nobody can say beforehand that it will be refused.
    done = await run(
        tmp_path, *words, "--", *PROGRAMS[program], seconds=SECONDS, NEXUS_API_KEYS=CLIENT_KEY
    )

    nexus.terminate()
    assert await nexus.wait() == 0

    keep(f"{program}-restricted", done, machine, tmp_path)
    assert upstream.received == []
    if program not in PATIENT:
        assert done.code > 0
        assert "restricted" in f"{done.stdout}{done.stderr}"
