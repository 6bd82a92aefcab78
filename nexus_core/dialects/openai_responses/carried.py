"""`encrypted_content` of reasoning items that no OpenAI model made: recognised when it comes back.

Clients return a reasoning item as they got it, to whichever backend is asked next. Nexus's own
content says that it is none of OpenAI's, and carries what another provider wants back: Anthropic's
thinking with its signatures, and what belongs to a call, such as Gemini's thought signatures.
"""

from __future__ import annotations

import base64
import json

import msgspec

from nexus_core.types import JsonObject, is_object

PREFIX = "nexus1."
MARK = b'"' + PREFIX.encode()  # in a body that may hold one


class Carried(msgspec.Struct, frozen=True):
    """What a reasoning item carries back to the provider that made it."""

    blocks: list[JsonObject] = []  # `thinking_blocks` of the hub's message
    calls: JsonObject = {}  # a call's `extra_content`, by the call's id
    text: str = ""  # of the thinking, where no summary has it

    def sealed(self) -> str:
        """The content of a reasoning item."""
        fields: JsonObject = {}
        if self.blocks:
            fields["blocks"] = self.blocks
        if self.calls:
            fields["calls"] = self.calls
        if self.text:
            fields["text"] = self.text
        text = json.dumps(fields, separators=(",", ":")).encode()
        return PREFIX + base64.urlsafe_b64encode(text).decode()


def is_own(content: object) -> bool:
    """Whether a content is one of these."""
    return isinstance(content, str) and content.startswith(PREFIX)


def opened(content: object) -> Carried | None:
    """What a content carries; None where it is another's."""
    if not isinstance(content, str) or not content.startswith(PREFIX):
        return None
    try:
        found: object = json.loads(base64.urlsafe_b64decode(content[len(PREFIX) :]))
        return msgspec.convert(found, Carried) if is_object(found) else Carried()
    except (ValueError, RecursionError, msgspec.ValidationError):
        return Carried()
