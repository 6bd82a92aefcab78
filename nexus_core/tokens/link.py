"""The connection to the process that counts tokens: what was asked of it, and what it answers."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import cast

from nexus_core.tokens.count import encoding_of, estimate_tokens
from nexus_core.types import CountMethod, PromptParts, TokenCount

log = logging.getLogger(__name__)

FAILED = "failed"  # the word of an answer that is no count
PATIENCE_SECONDS = 0.25  # a count that takes longer is an estimate
_SWEEP_SECONDS = 0.1
_MOST_WAITING = 64  # prompts
_MOST_WAITING_BYTES = 16 * 1024 * 1024


class _Asked:
    """A count that was asked for, or with the prompt None the load of a vocabulary."""

    __slots__ = ("at", "future", "model", "prompt", "size")

    def __init__(self, model: str, at: float) -> None:
        self.model = model
        self.at = at  # by the loop's clock
        self.prompt: PromptParts | None = None
        self.size = 0  # bytes
        self.future: asyncio.Future[TokenCount] | None = None

    def resolve(self, count: TokenCount | None = None) -> None:
        """Give the count, or for want of one an estimate."""
        if self.future is not None and self.prompt is not None and not self.future.done():
            self.future.set_result(count or estimate_tokens(self.model, self.prompt))


class Link(asyncio.Protocol):
    """The end of a connection to a counting process (`counting.py` has its messages)."""

    def __init__(self) -> None:
        self.loaded: set[str] = set()  # encodings
        self.ended = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport
        self._begun: set[str] = set()  # encodings that are being loaded, were, or can't be
        self._waiting: dict[int, _Asked] = {}  # the one that was asked first comes first
        self._waiting_bytes = 0
        self._number = 0
        self._unread = b""
        self._sweep: asyncio.TimerHandle | None = None

    def load(self, model: str) -> None:
        """Have the vocabulary of a model loaded; a second call does nothing."""
        encoding = encoding_of(model)
        if encoding is not None and encoding not in self._begun:
            self._begun.add(encoding)
            self._send(_Asked(model, self._loop.time()))

    def ask(self, model: str, prompt: PromptParts, future: asyncio.Future[TokenCount]) -> bool:
        """Have a prompt counted; False when too much is waiting already."""
        if len(self._waiting) >= _MOST_WAITING or self._waiting_bytes > _MOST_WAITING_BYTES:
            return False
        asked = _Asked(model, self._loop.time())
        asked.prompt, asked.future = prompt, future
        self._send(asked)
        if self._sweep is None:
            self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._resolve_late)
        return True

    def oldest_seconds(self) -> float:
        """For how long the process has owed an answer."""
        first = next(iter(self._waiting.values()), None)
        return 0.0 if first is None else self._loop.time() - first.at

    def give_up(self) -> None:
        """The process is gone: what it owes becomes estimates."""
        for asked in self._waiting.values():
            asked.resolve()
        self._waiting.clear()
        if self._sweep is not None:
            self._sweep.cancel()

    def _resolve_late(self) -> None:
        """Give estimates for what took too long; one timer for all that wait."""
        late = self._loop.time() - PATIENCE_SECONDS
        for asked in self._waiting.values():
            if asked.at > late:
                break
            asked.resolve()
        self._sweep = None
        if self._waiting:
            self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._resolve_late)

    def _send(self, asked: _Asked) -> None:
        self._number += 1
        message = pickle.dumps((self._number, asked.model, asked.prompt), pickle.HIGHEST_PROTOCOL)
        asked.size = len(message)
        self._waiting_bytes += asked.size
        self._waiting[self._number] = asked
        self._transport.write(message)

    # --- called by the loop ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prompts can be sent."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its type

    def data_received(self, data: bytes) -> None:
        """Take answers in."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            number, word, rest = line.decode().split(" ", 2)
            asked = self._waiting.pop(int(number))
            self._waiting_bytes -= asked.size
            self._take(asked, word, rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended, or `TokenCounter` has ended it."""
        if not self.ended.done():
            self.ended.set_result(None)

    def _take(self, asked: _Asked, word: str, rest: str) -> None:
        encoding = encoding_of(asked.model)
        if word == FAILED:
            asked.resolve()
            log.warning("tokens of %s are only estimated: %s", asked.model, rest)
        elif asked.prompt is not None:
            asked.resolve(TokenCount(int(rest), CountMethod(word)))
        elif encoding is not None:
            self.loaded.add(encoding)
