"""A real `nexus --no-ui` process of a fleet, with its config, log and address."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests import forked
from tests.waiting import until, wait_until

_LISTENS = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
START_SECONDS = 20.0

BACKEND = """
[[backends]]
name = "{name}"
url = "{url}"
type = "{type}"
zone = "{zone}"
models = ["{model}"]
"""

# Quick beats: a test of a lease takes as long as the lease does.
FLEET = """
[fleet]
replica = "{replica}"
beat_milliseconds = 100
open_zone_lease_seconds = 0.5
dead_after_seconds = 1.5
"""


def backend(name: str, url: str, zone: str = "restricted", model: str = "m") -> str:
    """The table of a backend, in nexus.toml."""
    return BACKEND.format(name=name, url=url, zone=zone, model=model, type="vllm")


def chat(model: str = "m", text: str = "hi") -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}]}


class Replica:
    """A Nexus process; `start` may be called again after its end."""

    def __init__(
        self,
        directory: Path,
        name: str,
        config: str,
        environ: Mapping[str, str],
        fresh: Sequence[str] = (),
    ) -> None:
        """
        Args:
            config: the tables of nexus.toml but [fleet] and [storage], which are made here; a
                [fleet] of its own stands instead.
            environ: NEXUS_REDIS_URL, and what else it needs.
            fresh: as in `forked.start`.
        """
        self.name = name
        self.url = ""
        self._folder = directory / name
        self._folder.mkdir()
        self._log = self._folder / "log"
        self._environ = {"HOME": str(self._folder), "PATH": os.environ["PATH"], **environ}
        self._fresh = fresh
        fleet = "" if "[fleet]" in config else FLEET.format(replica=name)
        storage = "" if "[storage]" in config else '[storage]\npath = "nexus.db"\n'
        checks = "" if "[health_check]" in config else "[health_check]\nenabled = false\n"
        (self._folder / "nexus.toml").write_text(checks + storage + fleet + config)
        self._process: forked.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def begin(self) -> None:
        """Start it; `ready` waits for it."""
        with self._log.open("wb") as log, open(os.devnull, "wb") as nothing:
            self._process = forked.start(
                ["--no-ui", "--port", "0", "--config", str(self._folder / "nexus.toml")],
                cwd=self._folder,
                env=self._environ,
                stdout=nothing.fileno(),
                stderr=log.fileno(),
                fresh=self._fresh,
            )

    async def ready(self) -> Replica:
        """Wait until it answers."""
        await until(self._listens, START_SECONDS)
        async with httpx.AsyncClient() as http:

            async def answers() -> bool:
                with suppress(httpx.TransportError):
                    return (await http.get(f"{self.url}/health")).status_code == 200
                return False

            await until(answers, START_SECONDS)
        return self

    async def start(self) -> Replica:
        self.begin()
        return await self.ready()

    def client(self) -> httpx.AsyncClient:
        """A client for many requests."""
        return httpx.AsyncClient(base_url=self.url, timeout=30)

    async def get(self, path: str) -> Any:
        """The JSON of a GET."""
        async with httpx.AsyncClient(timeout=10) as http:
            return (await http.get(f"{self.url}{path}")).json()

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as http:
            return await http.post(f"{self.url}{path}", json=body, headers=headers)

    async def ask(self, model: str = "m", **headers: str) -> httpx.Response:
        """A chat request; an underscore in a header's name is a hyphen."""
        body = chat(model)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.post("/v1/chat/completions", body, **named)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As by kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS)
            self._process = None

    def ended(self) -> int:
        """Its exit status, where it ends by itself."""
        assert self._process is not None
        status = self._process.wait(START_SECONDS)
        self._process = None
        return status

    def stop(self) -> int:
        """As by SIGTERM; its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(START_SECONDS)
        self._process = None
        return status

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        found = _LISTENS.search(self.log)
        self.url = found[1] if found else ""
        return found is not None


@contextmanager
def replicas(
    directory: Path,
    config: str,
    urls: Mapping[str, str | dict[str, str]],
    *,
    fresh: Sequence[str] = (),
    **environ: str,
) -> Iterator[list[Replica]]:
    """Replicas that begin at the same time and are killed after the block; await `ready` of each.

    Args:
        config: as of `Replica`, the same for all.
        urls: the name of each replica, and its NEXUS_REDIS_URL; or its variables, that among them.
        environ: other variables, the same for all.
    """
    started: list[Replica] = []
    try:
        for name, url in urls.items():
            own = {"NEXUS_REDIS_URL": url} if isinstance(url, str) else url
            started.append(Replica(directory, name, config, own | environ, fresh))
            started[-1].begin()
        yield started
    finally:
        for replica in started:
            with suppress(ProcessLookupError):
                replica.thaw() if replica._process else None
            replica.kill()
        wait_until(lambda: all(one._process is None for one in started))
