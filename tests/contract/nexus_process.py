"""The real `nexus` process, started as a user starts it, and configs for it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

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
        self._process: asyncio.subprocess.Process | None = None

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
    ) -> None:
        """Start it and wait until it answers; `before` is Python that its process runs first.

        Raises:
            RuntimeError: it ended instead, or did not answer in time.
        """
        with self._stderr.open("wb") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *_program(before), "--no-ui", "--port", "0", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                cwd=self._directory,
                env=clean_environment(self._directory, **environment),
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
        if self._process is None or self._process.returncode is not None:
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
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        try:
            async with asyncio.timeout(END_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def _program(before: str) -> tuple[str, ...]:
    if not before:
        return ("-m", "nexus_tui.cli")
    return ("-c", f"import sys\n{before}\nfrom nexus_tui.cli import main\nsys.exit(main())")


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
