"""Translate between OpenAI's API and Google's Gemini API. Pure: no network, no clock."""

from nexus_core.translation.google.answer import translate_response
from nexus_core.translation.google.candidates import AnswerForm
from nexus_core.translation.google.embeddings import (
    translate_embeddings_request,
    translate_embeddings_response,
)
from nexus_core.translation.google.errors import read_retry_after, translate_error
from nexus_core.translation.google.models import (
    FALLBACK_MODELS,
    Family,
    ModelPage,
    family_of,
    read_models,
)
from nexus_core.translation.google.request import translate_request
from nexus_core.translation.google.stream import GoogleStream, stream_failure
from nexus_core.translation.google.tokens import estimate_tokens
from nexus_core.translation.google.usage import read_usage

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
