"""Translate between OpenAI chat completions and Anthropic messages. Pure: no network, no clock."""

from nexus_core.dialects.anthropic.estimate import estimate_tokens
from nexus_core.dialects.anthropic.models import FALLBACK_MODELS, ModelPage, read_models
from nexus_core.dialects.anthropic.request import translate_request
from nexus_core.dialects.anthropic.response import (
    read_usage,
    translate_error,
    translate_response,
)
from nexus_core.dialects.anthropic.stream import AnthropicStream, stream_failure

__all__ = [
    "FALLBACK_MODELS",
    "AnthropicStream",
    "ModelPage",
    "estimate_tokens",
    "read_models",
    "read_usage",
    "stream_failure",
    "translate_error",
    "translate_request",
    "translate_response",
]
