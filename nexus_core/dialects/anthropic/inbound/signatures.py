"""Signatures of thinking that no Anthropic model made: recognised when it comes back.

Clients return a thinking block with its signature, to whichever backend is asked next. Nexus's own
says that it is no signature of Anthropic's, and carries what another provider wants back beside a
tool call, such as Gemini's thought signatures.
"""

from __future__ import annotations

import base64
import json

from nexus_core.types import JsonObject, is_object

PREFIX = "nexus1."
MARK = b'"' + PREFIX.encode()  # in a body that may hold one


def sign(carried: JsonObject | None = None) -> str:
    """A signature; `carried` is a tool call's `extra_content` by the call's id."""
    if not carried:
        return PREFIX
    text = json.dumps(carried, separators=(",", ":")).encode()
    return PREFIX + base64.urlsafe_b64encode(text).decode()


def is_own(signature: object) -> bool:
    """Whether a signature is one of these, or empty, as clients return what had none."""
    return isinstance(signature, str) and (not signature or signature.startswith(PREFIX))


def carried_by(signature: object) -> JsonObject:
    """What a signature carries; nothing for any other text."""
    if not isinstance(signature, str) or not signature.startswith(PREFIX):
        return {}
    try:
        found: object = json.loads(base64.urlsafe_b64decode(signature[len(PREFIX) :]))
    except (ValueError, RecursionError):
        return {}
    return found if is_object(found) else {}
