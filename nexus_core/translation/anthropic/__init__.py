"""Translate between OpenAI chat completions and Anthropic messages. Pure: no network, no clock."""

from nexus_core.translation.anthropic.request import translate_request

__all__ = [
    "translate_request",
]
