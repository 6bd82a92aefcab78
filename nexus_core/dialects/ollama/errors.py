"""Write errors as Ollama does, `{"error": "words"}`: a body, or a line of a stream.

https://docs.ollama.com/api/errors
"""

from __future__ import annotations

import json
from dataclasses import asdict

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_error_body
from nexus_core.dialects.parsing import parse_json
from nexus_core.errors import NexusError, ServiceUnavailableError, UnsupportedFieldsError
from nexus_core.types import is_object

# The client's names of fields that another format's translation can't do.
_FIELDS = {
    "response_format": "format",
    "response_format.json_schema.schema": "format",
    "reasoning_effort": "think",
    "max_tokens": "options.num_predict",
    "max_completion_tokens": "options.num_predict",
    **{
        name: f"options.{name}"
        for name in (
            *("temperature", "top_p", "top_k", "min_p", "stop", "seed"),
            *("presence_penalty", "frequency_penalty"),
        )
    },
}


def envelope(words: str, **more: object) -> bytes:
    """An error body of Ollama's API."""
    return json.dumps({"error": words, **more}, separators=(",", ":")).encode()


def error_body(error: NexusError) -> bytes:
    """One of Nexus's own errors; its code, and a 503's context, stand beside the words."""
    if isinstance(error, UnsupportedFieldsError):
        error = error.called(_FIELDS)
    more: dict[str, object] = {"code": error.code, "param": error.param}
    if isinstance(error, ServiceUnavailableError):
        more["context"] = asdict(error.context)
    return envelope(error.message, **more)


def as_error(body: bytes, words: str) -> bytes:
    """Body of an error that came with a 2xx status; unchanged where it is Ollama's own."""
    return body if _is_own(body) else envelope(words)


def translate_error(body: bytes, status: int) -> bytes:
    """An error answer of another format, by its words."""
    if _is_own(body):
        return body
    return envelope(read_error_body(body).words or f"the backend answered {status} without a word")


def report_line(report: ErrorReport) -> bytes:
    """An error that a backend of another format reported in the middle of its stream."""
    return envelope(report.words or "the backend ended its answer with an error") + b"\n"


def _is_own(body: bytes) -> bool:
    try:
        fields = parse_json(body)
    except ValueError:
        return False
    return is_object(fields) and isinstance(fields.get("error"), str)
