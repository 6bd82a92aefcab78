"""Count prompts beside the loop, in a process that is started when a count is first needed."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from pathlib import Path

import nexus_core
from nexus_core import descriptors
from nexus_core.tokens.count import encoding_of, estimate_tokens
from nexus_core.tokens.link import Link
from nexus_core.types import PromptParts, TokenCount

log = logging.getLogger(__name__)

_STUCK_SECONDS = 30.0  # a process that owes an answer for so long is ended
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0  # before one that failed is replaced

# The folder of the package, and not that of the user, whose files must not be imported.
_PACKAGE_FOLDER = Path(nexus_core.__file__).parents[1]
_COMMAND = (sys.executable, "-m", "nexus_core.tokens.counting")


class TokenCounter:
    """Counter of prompts' tokens: exact once the model's vocabulary is loaded, else estimates.

    Nothing is started or loaded before a count needs it, and nothing at all unless `run` runs.
    """

    def __init__(self) -> None:
        self._link: Link | None = None  # to the process; None: there is none
        self._first = ""  # the model for which one is to be started
        self._needed = asyncio.Event()
        self._is_told = False  # why counts are only estimates

    def count(self, model: str, prompt: PromptParts) -> asyncio.Future[TokenCount]:
        """Count the tokens of a prompt.

        Args:
            model: by the backend's own name.

        Returns:
            A future that does not fail and takes a third of a second at most. It gives an
            estimate where the model's vocabulary is not there (yet), or the process is busy.
        """
        counted: asyncio.Future[TokenCount] = asyncio.get_running_loop().create_future()
        if self._link is None or not self.is_loaded(model):
            self.load(model)
        elif self._link.ask(model, prompt, counted):
            return counted
        counted.set_result(estimate_tokens(model, prompt))
        return counted

    def is_loaded(self, model: str) -> bool:
        """Whether the model's vocabulary is loaded."""
        return self._link is not None and encoding_of(model) in self._link.loaded

    def load(self, model: str) -> None:
        """Begin to load the vocabulary of a model, if one ships and it is not loaded."""
        if self._link is not None:
            self._link.load(model)
        elif encoding_of(model) is not None:
            self._first = model
            self._needed.set()

    async def run(self) -> None:
        """Keep a process from the first need on, until cancelled; one that ends is replaced."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self._needed.wait()
            try:
                why = await self._keep_process()
            except OSError as error:
                short = "out of file descriptors; trying again"
                why = short if descriptors.is_shortage(error) else str(error)
            self._needed.clear()
            if not self._is_told:
                log.warning("token counts are only estimates: %s", why)
                self._is_told = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _keep_process(self) -> str:
        """Start a process and serve counts until it ends; gives the reason why it did."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - a millisecond, and it is our own
                _COMMAND,
                cwd=_PACKAGE_FOLDER,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # ctrl+c in the terminal is for the proxy
            )
            theirs.close()
            try:
                return await self._serve(ours)
            finally:
                process.kill()
                try:
                    await asyncio.to_thread(process.wait)
                finally:
                    process.wait()  # where that was cancelled before a thread was free; it is dead

    async def _serve(self, ours: socket.socket) -> str:
        loop = asyncio.get_running_loop()
        transport, link = await loop.create_connection(Link, sock=ours)
        self._link = link
        link.load(self._first)
        try:
            while not link.ended.done():
                await asyncio.wait({link.ended}, timeout=_STUCK_SECONDS / 4)
                if self._is_told and link.loaded and not link.ended.done():
                    log.info("token counts are exact again")
                    self._is_told = False
                if link.oldest_seconds() > _STUCK_SECONDS:
                    return "the process that counts is stuck"
            return "the process that counts has ended"
        finally:
            self._link = None
            transport.close()
            link.give_up()
