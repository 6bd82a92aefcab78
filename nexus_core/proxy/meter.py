"""Read from a passing stream what it costs: its usage wherever it stands, else its length."""

from __future__ import annotations

import re

from nexus_core.dialects.openai_chat.answers import read_service_tier
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.usage import UsageTally, may_tell_usage
from nexus_core.observe.events import TokenUsage
from nexus_core.types import is_object

# What a model said: the texts of deltas, as JSON writes them.
_TEXT = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal|arguments|text)"\s*:\s*'
    rb'"((?:[^"\\]|\\.)*)"'
)


def text_length(data: bytes) -> int:
    """How many bytes of what the model said stand in an answer, or in whole lines of a stream."""
    length = sum(found.end(1) - found.start(1) for found in _TEXT.finditer(data))
    # Some servers write "é" as six bytes; in UTF-8 it would be two or three.
    return max(0, length - 3 * data.count(b"\\u"))


class StreamMeter:
    """Sees every byte of an OpenAI-format stream once; keeps numbers, no text."""

    def __init__(self, *, hides_usage: bool) -> None:
        """With `hides_usage`, the chunk that only tells the usage is taken out of the stream."""
        self._hides_usage = hides_usage
        self._skips_blank = False  # the line that ends the event taken out
        self._tally = UsageTally()
        self.service_tier: str | None = None
        self.text_bytes = 0  # of the answer so far

    @property
    def usage(self) -> TokenUsage | None:
        """What the stream has told of its usage so far."""
        return self._tally.usage

    def read(self, data: bytes) -> bytes:
        """Take note of whole lines; what of them the client gets."""
        self.text_bytes += text_length(data)
        if not self._skips_blank and not may_tell_usage(data):
            return data
        return b"".join(line for line in data.splitlines(keepends=True) if self._passes(line))

    def _passes(self, line: bytes) -> bool:
        if self._skips_blank:
            self._skips_blank = False
            if not line.strip():
                return False
        if line.startswith(b"data:") and may_tell_usage(line) and self._is_usage_chunk(line[5:]):
            self._skips_blank = True
            return False
        return True

    def _is_usage_chunk(self, text: bytes) -> bool:
        """Note the usage; whether this is the one chunk that the client did not ask for."""
        try:
            fields = parse_json(text)
        except ValueError:
            return False
        if not is_object(fields):
            return False
        is_told = self._tally.take(fields)
        if is_told:
            self.service_tier = read_service_tier(fields) or self.service_tier
        if not self._hides_usage or fields.get("choices") or fields.get("error"):
            return False
        if is_object(fields.get("usage")):  # a usage of zeros is none, too
            return True
        return is_told and "choices" in fields
