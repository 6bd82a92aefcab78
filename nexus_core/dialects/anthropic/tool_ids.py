"""Map tool call ids of other providers to ids valid for Anthropic, and back."""

from __future__ import annotations

import base64
import re

# What Anthropic takes as an id; "functions.f:0" and the like it refuses.
_TAKEN = re.compile(r"[a-zA-Z0-9_-]+")
_OURS = "nx-"


def to_anthropic_id(call_id: str) -> str:
    """A tool call id valid for Anthropic; different for every id of a client.

    Valid ids stay unchanged.
    """
    if _TAKEN.fullmatch(call_id) and not call_id.startswith(_OURS):
        return call_id
    encoded = base64.urlsafe_b64encode(call_id.encode("utf-8", "surrogatepass")).decode()
    return _OURS + encoded.rstrip("=")
