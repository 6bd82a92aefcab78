"""Thought signatures that no Gemini model made: recognised when they come back.

Clients return a part with its `thoughtSignature`, to whichever backend is asked next. Nexus's own
says that it is none of Google's, and carries what another provider wants back beside a call.
A signature is base64 in JSON.
"""

from __future__ import annotations

import base64
import json

from nexus_core.types import JsonObject, is_object

_PREFIX = b"nexus1"
MARK = base64.b64encode(_PREFIX)  # with which all of them begin
_MARK = MARK.decode()
_STANDARD = str.maketrans("-_", "+/")


def sign(carried: JsonObject | None = None) -> str:
    """A signature; `carried` is a tool call's `extra_content`."""
    text = json.dumps(carried, separators=(",", ":")).encode() if carried else b""
    return base64.b64encode(_PREFIX + text).decode()


def is_own(signature: object) -> bool:
    """Whether a signature is one of these."""
    return isinstance(signature, str) and signature.startswith(_MARK)


def carried_by(signature: object) -> JsonObject | None:
    """What a signature carries; None for any other text."""
    if not isinstance(signature, str) or not signature.startswith(_MARK):
        return None
    bare = signature.translate(_STANDARD).rstrip("=")
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4))
        found: object = json.loads(data[len(_PREFIX) :])
    except (ValueError, RecursionError):
        return None
    return found if is_object(found) and found else None
