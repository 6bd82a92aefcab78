"""HTTP towards backends: one small protocol, two engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nexus_core.upstream.base import UpstreamEngine


def create_engine(kind: Literal["aiohttp", "httpx"]) -> UpstreamEngine:
    """Make an engine; whoever calls this closes it.

    Each library is imported only when its engine is asked for: either import takes longer
    than the rest of a start.
    """
    if kind == "aiohttp":
        from nexus_core.upstream.aiohttp_engine import AiohttpEngine

        return AiohttpEngine()
    from nexus_core.upstream.httpx_engine import HttpxEngine

    return HttpxEngine()
