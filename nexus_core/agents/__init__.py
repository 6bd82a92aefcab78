"""One adapter per kind of server: knows its addresses, keys and headers; nothing of routing."""

from __future__ import annotations

from nexus_core.agents.base import Call, InferenceAgent, Response
from nexus_core.agents.local import LOCAL_SERVERS, LocalAgent
from nexus_core.agents.openai import OpenAIAgent
from nexus_core.config import BackendConfig
from nexus_core.types import BackendType
from nexus_core.upstream.base import UpstreamEngine

__all__ = ["Call", "InferenceAgent", "Response", "create_agent"]


def create_agent(
    backend: BackendConfig, engine: UpstreamEngine, *, connect_timeout_seconds: float
) -> InferenceAgent:
    """The agent for a configured backend.

    Raises:
        ValueError: there is no agent for the backend's type.
    """
    if backend.type in LOCAL_SERVERS:
        return LocalAgent(backend, engine, connect_timeout_seconds=connect_timeout_seconds)
    if backend.type is BackendType.OPENAI:
        return OpenAIAgent(backend, engine, connect_timeout_seconds=connect_timeout_seconds)
    raise ValueError(f'backend "{backend.name}": there is no agent for type {backend.type}')
