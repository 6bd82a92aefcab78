"""HTTP to backends: one protocol, two engines."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Literal, assert_never

from nexus_core import descriptors
from nexus_core.background import load_in_background
from nexus_core.config.outbound_proxy import OutboundProxy
from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import (
    UpstreamConnectError,
    UpstreamEngine,
    UpstreamRequest,
    UpstreamResponse,
)

_FOR_IMPORTS = 16  # descriptors: a library may go without a part of itself for good

EngineKind = Literal["http1", "httpx"]


def create_engine(kind: EngineKind) -> UpstreamEngine:
    """Create an upstream engine; the caller closes it. Its library is imported at first use."""
    return _EngineOnDemand(kind)


def engine_for(proxy: OutboundProxy | None, chosen: EngineKind) -> EngineKind:
    """The engine for a request: the configured one, or the one that goes through proxies."""
    return chosen if proxy is None else "httpx"


class _EngineOnDemand:
    """Either library takes as long to import as the rest of a start: not before /health answers."""

    def __init__(self, kind: EngineKind) -> None:
        self._kind: EngineKind = kind
        self._engines: dict[EngineKind, UpstreamEngine] = {}
        self._making = asyncio.Lock()
        self._is_closed = False

    def send(
        self, request: UpstreamRequest, *, connect_timeout_seconds: float
    ) -> Coroutine[Any, Any, UpstreamResponse]:
        proxy = request.proxy
        kind = self._kind if proxy is None else engine_for(proxy, self._kind)
        engine = self._engines.get(kind)
        if engine is None:
            return self._send_first(kind, request, connect_timeout_seconds)
        return engine.send(request, connect_timeout_seconds=connect_timeout_seconds)

    async def _send_first(
        self, kind: EngineKind, request: UpstreamRequest, seconds: float
    ) -> UpstreamResponse:
        try:
            engine = await self._make(kind)
        except (OSError, ImportError) as error:
            if descriptors.is_shortage(error):
                raise wording.out_of_descriptors() from error
            raise
        return await engine.send(request, connect_timeout_seconds=seconds)

    def stop_unsent(self) -> None:
        for engine in self._engines.values():
            engine.stop_unsent()

    async def close(self) -> None:
        self._is_closed = True
        for engine in self._engines.values():
            await engine.close()

    async def _make(self, kind: EngineKind) -> UpstreamEngine:
        async with self._making:
            if self._is_closed:
                raise UpstreamConnectError(wording.CLOSED_ENGINE)
            if kind not in self._engines:
                self._engines[kind] = (await load_in_background(partial(_import_engine, kind)))()
            return self._engines[kind]


def _import_engine(kind: EngineKind) -> type[UpstreamEngine]:
    """Raises: OSError, ImportError: also for want of descriptors; then it may be tried again."""
    descriptors.require(_FOR_IMPORTS)
    match kind:
        case "http1":
            from nexus_core.upstream.http1 import Http1Engine

            return Http1Engine
        case "httpx":
            from nexus_core.upstream.httpx_engine import HttpxEngine

            return HttpxEngine
        case _:
            assert_never(kind)
