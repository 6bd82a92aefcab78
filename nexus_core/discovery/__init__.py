"""Discovery: find local servers without a configuration, on this machine and the network."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_core.discovery.mdns import create_browser
from nexus_core.discovery.watch import Discoverable, Discovery
from nexus_core.upstream.base import UpstreamEngine

__all__ = ["Discovery", "create"]


def create(core: Discoverable, engine: UpstreamEngine, environ: Mapping[str, str]) -> Discovery:
    """Create the discovery of a zero-config start."""
    return Discovery(core, engine, environ, browser=create_browser())
