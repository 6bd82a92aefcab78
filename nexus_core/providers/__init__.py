"""Provider adapters: addresses, keys and headers of each kind of server; no routing."""

from __future__ import annotations

from typing import assert_never

from nexus_core.config.schema import BackendConfig
from nexus_core.providers.base import Call, InferenceAgent, Response
from nexus_core.providers.http import AgentSettings
from nexus_core.providers.local import LocalAgent, TextEmbeddingAgent
from nexus_core.providers.openai import OpenAIAgent
from nexus_core.types import DialectName
from nexus_core.upstream.base import UpstreamEngine

__all__ = ["AgentSettings", "Call", "InferenceAgent", "Response", "create_agent"]


def create_agent(
    backend: BackendConfig, engine: UpstreamEngine, settings: AgentSettings
) -> InferenceAgent:
    """Create the agent (adapter) of a backend."""
    match backend.type.spec.dialect:
        case DialectName.OPENAI_CHAT | DialectName.RESPONSES | DialectName.OLLAMA:
            return _openai_agent(backend)(backend, engine, settings)
        # A translator takes longer to import than most starts have to spare.
        case DialectName.ANTHROPIC:
            from nexus_core.providers.anthropic import AnthropicAgent

            return AnthropicAgent(backend, engine, settings)
        case DialectName.GEMINI:
            from nexus_core.providers.google import GoogleAgent

            return GoogleAgent(backend, engine, settings)
        case _:
            assert_never(backend.type.spec.dialect)


def _openai_agent(backend: BackendConfig) -> type[OpenAIAgent]:
    if backend.type.is_cloud:
        return OpenAIAgent
    return TextEmbeddingAgent if backend.type.spec.embeds_text_as_floats else LocalAgent
