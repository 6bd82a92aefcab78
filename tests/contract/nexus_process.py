"""The real `nexus` process, started as a user starts it, and configs for it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.forked import COMMAND, Process, start
from tests.waiting import until

START_SECONDS = 20
END_SECONDS = 15

_ADDRESS = re.compile(r"(?:listening on|traffic at) (http://127\.0\.0\.1:\d+)")
_KEEP = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the developer's own: no keys, no config, no proxies."""
    kept = {name: os.environ[name] for name in _KEEP if name in os.environ}
    return (
        kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)} | more
    )


class NexusProcess:
    """A headless Nexus; `url` is where it listens once `start` has returned."""

    def __init__(self, directory: Path) -> None:
        self.url = ""
        self._directory = directory
        self._stderr = directory / "stderr.txt"
        self._process: Process | None = None

    @property
    def directory(self) -> Path:
        return self._directory

    @property
    def stderr(self) -> str:
        return self._stderr.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        before: str = "",
        is_fresh: bool = False,
    ) -> None:
        """Start it and wait until it answers.

        Args:
            before: Python that its process runs first.
            is_fresh: with an interpreter of its own, as users start it; so it is with `before`.

        Raises:
            RuntimeError: it ended instead, or did not answer in time.
        """
        with self._stderr.open("wb") as stderr:
            self._process = start(
                ["--no-ui", "--port", "0", *arguments],
                cwd=self._directory,
                env=clean_environment(self._directory, **environment),
                stdout=stderr.fileno(),
                stderr=stderr.fileno(),
                fresh=_program(before) if before else COMMAND if is_fresh else (),
            )
        await self.answered()

    async def answered(self) -> None:
        """Return once the process that was started answers.

        Raises:
            RuntimeError: it ended instead, or did not answer in time.
        """
        assert self._process is not None
        try:
            async with httpx.AsyncClient() as client:
                await until(lambda: self._answers(client), START_SECONDS)
        except TimeoutError as error:
            await self.kill()
            raise RuntimeError(f"nexus does not answer: {self.stderr}") from error

    async def _answers(self, client: httpx.AsyncClient) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"nexus ended: {self.stderr}")
        found = _ADDRESS.search(self.stderr)
        if found is None:
            return False
        self.url = found.group(1)
        try:
            return (await client.get(f"{self.url}/health")).status_code == 200
        except httpx.TransportError:
            return False

    def terminate(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        try:
            return await asyncio.to_thread(self._process.wait, END_SECONDS)
        except subprocess.TimeoutExpired:
            await self.kill()
            raise

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, END_SECONDS)


def _program(before: str) -> tuple[str, ...]:
    code = f"import sys\n{before}\nfrom nexus_tui.cli import main\nsys.exit(main())"
    return (sys.executable, "-c", code)


def backend_table(name: str, url: str, models: object, **more: object) -> str:
    """One [[backends]] table; `models` is a list or a table of names."""
    lines = ["[[backends]]", f'name = "{name}"', f'url = "{url}"', f"models = {_toml(models)}"]
    more = {"type": "generic"} | more
    return "\n".join([*lines, *(f"{key} = {_toml(value)}" for key, value in more.items()), ""])


def config_text(*backends: str, server: str = "", more: str = "") -> str:
    """A whole file: no health checks that a test did not ask for, and nothing kept on disk."""
    checks = "" if "[health_check]" in more else "[health_check]\nenabled = false\n"
    storage = '[storage]\npath = ":memory:"\n'
    return "\n".join([f"[server]\n{server}\n", checks, storage, more, *backends])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    return json.dumps(value)
