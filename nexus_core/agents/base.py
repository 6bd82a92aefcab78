"""What every agent promises, and what all of them share."""

from __future__ import annotations

from typing import Protocol

from nexus_core.registry import ProbeResult
from nexus_core.types import Endpoint
from nexus_core.upstream.base import UpstreamResponse


class InferenceAgent(Protocol):
    """The adapter of one backend."""

    @property
    def name(self) -> str: ...

    @property
    def keys(self) -> KeyCutter:
        """Cuts this backend's key out of whatever it says."""
        ...

    @property
    def auth_hint(self) -> str:
        """What to check when the backend refuses the key; names the variable, never the key."""
        ...

    async def send(
        self, endpoint: Endpoint, body: bytes, *, is_streaming: bool
    ) -> UpstreamResponse:
        """Send a request that is ready for this backend and wait for the answer's head.

        Raises:
            UpstreamError: there is no answer.
        """
        ...

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        """List the models: never a call that costs money, never an exception."""
        ...


class KeyCutter:
    """Replace every occurrence of a backend's key by a mark."""

    MARK = b"[key]"

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key else None

    def cut(self, data: bytes) -> bytes:
        """The same bytes without the key."""
        if self._key is None or self._key not in data:
            return data
        return data.replace(self._key, self.MARK)

    def cut_text(self, text: str) -> str:
        """The same text without the key."""
        return text if self._key is None else text.replace(self._key.decode(), self.MARK.decode())
