"""Zero-config: find servers that can be used, on this machine and on the network."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_core.discovery.mdns import create_browser
from nexus_core.discovery.watch import Discoverable, Discovery
from nexus_core.upstream.base import UpstreamEngine

__all__ = ["Discovery", "create"]


def create(core: Discoverable, engine: UpstreamEngine, environ: Mapping[str, str]) -> Discovery:
    """Discovery as a start without a configuration has it."""
    return Discovery(core, engine, environ, browser=create_browser())
