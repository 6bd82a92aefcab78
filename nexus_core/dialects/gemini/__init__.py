"""Translate between OpenAI's API and Google's Gemini API. Pure: no network, no clock."""

from nexus_core.dialects.gemini.answer import translate_response
from nexus_core.dialects.gemini.candidates import AnswerForm
from nexus_core.dialects.gemini.embeddings import (
    translate_embeddings_request,
    translate_embeddings_response,
)
from nexus_core.dialects.gemini.errors import read_retry_after, translate_error
from nexus_core.dialects.gemini.models import (
    FALLBACK_MODELS,
    Family,
    ModelPage,
    family_of,
    read_models,
)
from nexus_core.dialects.gemini.request import translate_request
from nexus_core.dialects.gemini.stream import GoogleStream, stream_failure
from nexus_core.dialects.gemini.tokens import estimate_tokens
from nexus_core.dialects.gemini.usage import read_usage

__all__ = [
    "FALLBACK_MODELS",
    "AnswerForm",
    "Family",
    "GoogleStream",
    "ModelPage",
    "estimate_tokens",
    "family_of",
    "read_models",
    "read_retry_after",
    "read_usage",
    "stream_failure",
    "translate_embeddings_request",
    "translate_embeddings_response",
    "translate_error",
    "translate_request",
    "translate_response",
]
