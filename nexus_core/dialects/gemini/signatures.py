"""Thought signatures in OpenAI's messages: `extra_content.google.thought_signature`.

Google's own OpenAI endpoint puts them there, and the `openai` client keeps and returns the field.
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeGuard

from nexus_core.types import JsonObject, is_object

# Documented for calls that another model made: Gemini 3 then does not ask for a signature.
DUMMY = "skip_thought_signature_validator"

_STANDARD = str.maketrans("-_", "+/")


def wrap(signature: str) -> JsonObject:
    """The value of `extra_content`."""
    return {"google": {"thought_signature": signature}}


def unwrap(extra_content: object) -> str | None:
    """The signature that a client sent back; None without a valid one."""
    google = extra_content.get("google") if is_object(extra_content) else None
    signature = google.get("thought_signature") if is_object(google) else None
    return signature if is_signature(signature) else None


def is_signature(value: object) -> TypeGuard[str]:
    """Whether the value is non-empty base64; nothing else of a signature can be checked."""
    if not isinstance(value, str) or not value.isascii():
        return False
    bare = value.translate(_STANDARD).rstrip("=")
    try:
        decoded = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return False
    return bool(decoded) and base64.b64encode(decoded).decode().rstrip("=") == bare
