"""One worker, as its supervisor asks it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from nexus_core.api.siblings import handover
from nexus_core.api.siblings.control import COUNTS_PATH
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import read_stats
from nexus_core.types import is_object
from nexus_core.worker import control_socket

ANSWER_SECONDS = 2.0  # of a question; a command may take longer
COMMAND_SECONDS = 60.0


# RuntimeError: this end was closed meanwhile. The last two: what httpx imports late could not be
# opened for want of descriptors.
FAILURES = (httpx.TransportError, RuntimeError, OSError, ImportError)


class SilentError(Exception):
    """A worker doesn't answer, or not as it should."""


class Sibling:
    """A worker from its start to its end."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.counts: Stats | None = None  # as it last said; they are never taken back
        self.process: str | None = None  # its name in the store, once it has told it
        self.counted_at = 0.0  # when it said so, in seconds since the epoch
        self.metrics: str | None = None  # the last that went into an answer
        self.last_log: str | None = None  # the id of the newest line that was taken over
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(control_socket(folder, number))),
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )

    def request(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> httpx.Request:
        """A request to it; `path` with its query."""
        url = f"http://worker-{self.number}{path}"
        return self._client.build_request(method, url, headers=headers, content=body)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Its answer, as a stream.

        Raises:
            SilentError: there is none.
        """
        try:
            return await self._client.send(request, stream=True)
        except FAILURES as error:
            raise SilentError(f"worker {self.number}: {error}") from error

    async def ask(self, path: str, headers: list[tuple[bytes, bytes]] | None = None) -> Any:
        """The JSON that it answers.

        Raises:
            SilentError: it answers nothing, or an error.
        """
        return (await self.ask_whole("GET", path, headers or [])).json()

    async def text(self, path: str) -> str:
        """The text that it answers.

        Raises:
            SilentError: it answers nothing, or an error.
        """
        return (await self.ask_whole("GET", path, [])).text

    async def ask_whole(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]]
    ) -> httpx.Response:
        """Its answer, where that is a good one.

        Raises:
            SilentError: it answers nothing, or an error.
        """
        try:
            answer = await self._client.send(self.request(method, path, headers, b""))
        except FAILURES as error:
            raise SilentError(f"worker {self.number}: {error}") from error
        if answer.status_code != 200:
            raise SilentError(f"worker {self.number}: status {answer.status_code}")
        return answer

    async def count(self) -> Stats:
        """What it has counted until now.

        Raises:
            SilentError: it answers nothing.
        """
        at, self.process, counts = await self.ask(COUNTS_PATH)
        return self._counted(at, counts)

    async def state(self) -> dict[str, Any]:
        """Its whole state.

        Raises:
            SilentError: it answers nothing.
        """
        state = await self.ask("/nexus/state")
        if not is_object(state):
            raise SilentError(f"worker {self.number}: no state")
        self._counted(state["at"], state["counts"])
        return state

    def _counted(self, at: float, told: object) -> Stats:
        counts = read_stats(told)
        if at >= self.counted_at:  # two answers may come in another order
            self.counts, self.counted_at = counts, at
        return counts

    async def handover(self) -> handover.Handover:
        """What holds there, for a new worker.

        Raises:
            SilentError: it answers nothing.
        """
        return handover.read((await self.ask_whole("GET", handover.PATH, [])).content)

    async def close(self) -> None:
        """Let go of its connections; never fails."""
        with suppress(*FAILURES):
            await self._client.aclose()
