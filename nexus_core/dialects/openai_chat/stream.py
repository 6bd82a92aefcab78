"""Follow a stream of OpenAI's chunks: its beginning, its end, its errors, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable

from nexus_core.dialects.base import ErrorReport
from nexus_core.dialects.openai_chat.answers import text_length
from nexus_core.dialects.openai_chat.failures import reported_error, weigh_event
from nexus_core.dialects.opening import StreamOpening
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reported_cost import read_service_tier
from nexus_core.dialects.usage import UsageTally, may_tell_usage
from nexus_core.observe.events import TokenUsage
from nexus_core.types import is_object

_DONE = re.compile(rb"(?:^|(?<=\r))data: ?\[DONE\]\s*$", re.MULTILINE)
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"([^"]+)')
_ERROR = re.compile(rb'"error"\s*(?:[,}\]]|:\s*(?!null\b))')  # as a value, or as a key of one
_EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")


class ChatStreamReader:
    """Sees every byte of a stream once; keeps numbers, no text."""

    def __init__(
        self,
        *,
        choices: int = 1,
        hides_usage: bool = False,
        clean: Callable[[str], str] = str,
    ) -> None:
        """
        Args:
            choices: how many it has to finish, where it does not end with [DONE].
            hides_usage: the chunk that only tells the usage is taken out of the stream.
            clean: cuts the backend's key out of what is told of an error.
        """
        self.opening = StreamOpening(weigh_event, clean)
        self.service_tier: str | None = None
        self.text_bytes = 0  # of the answer so far
        self.report: ErrorReport | None = None  # what the stream told in its middle
        self.is_ended = False  # [DONE] came
        self._choices = choices
        self._finished = 0  # choices that told their finish_reason
        self._hides_usage = hides_usage
        self._skips_blank = False  # the line that ends the event taken out
        self._tally = UsageTally()
        self._last = b""  # the last bytes that were read
        self._event = ""  # the type that the event under way was given

    @property
    def usage(self) -> TokenUsage | None:
        """What the stream has told of its usage so far."""
        return self._tally.usage

    @property
    def is_complete(self) -> bool:
        """The stream said that it is over: `[DONE]`, or a finish_reason of every choice."""
        return self.is_ended or self._finished >= self._choices

    @property
    def is_between_events(self) -> bool:
        """The blank line that ends an event came last."""
        return self._last.endswith(_EVENT_ENDS)

    def read(self, lines: bytes) -> bytes:
        """Take note of whole lines, the key cut out; what of them the client gets."""
        self._last = (self._last + lines[-3:])[-3:]
        self._finished += len(_FINISHED.findall(lines))
        if b"[DONE]" in lines and not self.is_ended:
            self.is_ended = bool(_DONE.search(lines))
        if b"error" in lines or self._event:
            self._look_for_error(lines)
        self.text_bytes += text_length(lines)
        if not self._skips_blank and not may_tell_usage(lines):
            return lines
        return b"".join(line for line in lines.splitlines(keepends=True) if self._passes(line))

    # Usage ------------------------------------------------------------------------------------

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

    # Errors -----------------------------------------------------------------------------------

    def _look_for_error(self, data: bytes) -> None:
        """Note an error event among these lines; the first one counts."""
        for line in data.splitlines():
            if not line:
                self._event = ""
            elif line.startswith(b"event:"):
                name = line[6:].strip()
                self._event = "error" if name == b"error" else ""
            elif line.startswith(b"data:") and (self._event or _ERROR.search(line)):
                self.report = self.report or self._report_in(line[5:])

    def _report_in(self, data: bytes) -> ErrorReport | None:
        try:
            fields = parse_json(data)
        except ValueError:
            return None
        return reported_error(fields, self._event or "message")
