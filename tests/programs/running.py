"""`nexus run` with a program of the PATH, in folders of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.nexus_process import backend_table, clean_environment, config_text
from tests.contract.scripted_upstream import ScriptedUpstream
from tests.programs.machine import LIST, Machine

SECONDS = 90

KEY = "sk-backend-0123456789abcdef"
CLIENT_KEY = "sk-client-0123456789abcdef"
PROMPT = f"Read {LIST} and tell me what it says."

PROGRAMS = {
    "claude": ("-p", PROMPT),
    "codex": ("exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", PROMPT),
    "gemini": ("--skip-trust", "-p", PROMPT),
    "opencode": ("run", PROMPT),
}

# Of each program, so that nothing is asked beyond this machine and no question waits for an answer.
QUIET = {
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_SHARE": "1",
}


def installed(program: str) -> str:
    """Its path; skips the test without it."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed; `make test-programs` says how")
    return found


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


@dataclass(frozen=True, slots=True)
class Done:
    """What a program did."""

    code: int
    stdout: str
    stderr: str


async def run(folder: Path, *words: str, seconds: float = SECONDS, **environment: str) -> Done:
    """`nexus` in a folder of its own; the programs are found by PATH. Code -1: it took longer."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nexus_tui.cli", *words),
        cwd=work,
        env=clean_environment(home, **QUIET, **environment),
        start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    reading = asyncio.ensure_future(process.communicate())
    done, _ = await asyncio.wait([reading], timeout=seconds)
    if not done:
        os.killpg(process.pid, signal.SIGKILL)  # the Nexus beside it ends by itself
    stdout, stderr = await reading
    if not done:
        return Done(-1, stdout.decode(), f"{stderr.decode()}\nnot done in time")
    assert process.returncode is not None
    return Done(process.returncode, stdout.decode(), stderr.decode())


def configure(folder: Path, kind: str, url: str) -> Path:
    """A configuration with one backend of that kind, that serves the model `m`."""
    more = {} if kind == "generic" else {"api_key_env": "BACKEND_KEY"}
    path = folder / "nexus.toml"
    path.write_text(config_text(backend_table("one", url, ["m"], type=kind, **more)), "utf-8")
    return path


def keep(name: str, done: Done, machine: Machine, home: Path) -> None:
    """The transcript, where somebody wants it."""
    folder = os.environ.get("NEXUS_TRANSCRIPTS")
    if not folder:
        return
    log = "\n".join(path.read_text("utf-8") for path in home.rglob("run-*.log"))
    asked = "\n".join(f"--- {path}\n{json.dumps(body, indent=1)}" for path, body in machine.asked)
    text = f"exit {done.code}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}\n{asked}\n{log}"
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, f"{name}.txt").write_text(text, "utf-8")
