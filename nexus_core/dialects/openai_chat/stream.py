"""Read a stream of OpenAI's chunks: its beginning, end, errors, usage and service tier."""

from __future__ import annotations

import re
from collections.abc import Callable

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.openai_chat.answers import TEXT, text_length
from nexus_core.dialects.openai_chat.failures import reported_error, weigh_event
from nexus_core.dialects.opening import StreamOpening
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reported_cost import read_service_tier
from nexus_core.dialects.sse import separator_before
from nexus_core.dialects.usage import UsageTally
from nexus_core.observe.events import TokenUsage
from nexus_core.types import is_object

_DONE = re.compile(rb"(?:^|(?<=\r))data: ?\[DONE\]\s*$", re.MULTILINE)
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"([^"]+)')
_ERROR = re.compile(rb'"error"\s*(?:[,}\]]|:\s*(?!null\b))')  # as a value, or as a key of one
_DONE_LAST = (b"\ndata: [DONE]", b"\ndata:[DONE]")  # where it nearly always stands
# What may hold a usage; `"usage": null`, which some send with every chunk, does not.
_REPORTED = re.compile(rb'"usage"\s*:\s*\{|"timings"\s*:\s*\{|eval_count"\s*:\s*\d')
_MAX_RUNS = 16  # of one stream: most have one, or one for each kind of text
_LONG_READ = 2048  # bytes; of many events
_EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")


def may_report_usage(lines: bytes) -> bool:
    """Whether lines may report a usage: seldom true where they don't, and never false."""
    if b'"usage"' in lines:
        if b'"usage":{' in lines or b'"usage": {' in lines:
            return True
        empty = lines.count(b'"usage":null') + lines.count(b'"usage": null')
        if lines.count(b'"usage"') > empty and _REPORTED.search(lines):
            return True
    is_other = b'"timings"' in lines or b'eval_count"' in lines
    return is_other and _REPORTED.search(lines) is not None


class ChatStreamReader:
    """Reader of one OpenAI stream; sees every byte once, and keeps numbers, no text."""

    def __init__(
        self,
        *,
        choices: int = 1,
        hides_usage: bool = False,
        clean: Callable[[str], str] = str,
    ) -> None:
        """
        Args:
            choices: number of choices that must finish if the stream does not end with [DONE].
            hides_usage: remove the chunk that only reports usage.
            clean: removes the backend's key from error texts.
        """
        self.opening = StreamOpening(weigh_event, clean)
        self.service_tier: str | None = None
        self.report: ErrorReport | None = None  # in mid-stream
        self.is_ended = False  # [DONE] came
        self._choices = choices
        self._finished = 0  # choices with a finish_reason
        self._hides_usage = hides_usage
        self._skips_blank = False  # the line that ends the event taken out
        self._tally = UsageTally()
        self._first_usage: TokenUsage | None = None
        self._text_bytes = 0  # of the answer so far
        self.run: TextRun | None = None  # of the chunks that came last
        self._runs_left = _MAX_RUNS  # that may be tried
        self._is_amid = True  # an event, or a thing that spans several
        self._last = b""  # the last bytes that were read
        self._event = ""  # the type that the event under way was given

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far; None before the first report."""
        return self._tally.usage

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: `[DONE]`, or a finish_reason for every choice."""
        return self.is_ended or self._finished >= self._choices

    @property
    def is_between_events(self) -> bool:
        """Whether the last line read was the blank line that ends an event."""
        return self._last.endswith(_EVENT_ENDS)

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text, unless a usage was reported at its end, or as it grew."""
        first = self._first_usage
        if first is not None and (self.is_complete or first != self._tally.usage):
            return 0
        return self._text_bytes

    def read(self, lines: bytes) -> bytes:
        """Read whole lines, already without the key; gives the bytes for the client."""
        end = self._pass_run(lines, 0)
        if end == len(lines):  # nearly always
            return lines
        shown = [lines[:end]]
        while (at := end) < len(lines):
            end = self._looked_at(lines, at)
            shown.append(self._read_closely(lines[at:end]))
            at, end = end, self._pass_run(lines, end)
            shown.append(lines[at:end])
        return b"".join(shown)

    def _pass_run(self, lines: bytes, at: int) -> int:
        """Where the events end that begin there and are nothing but a text."""
        if self.run is None or self._is_amid:
            return at
        found = self.run.take(lines, at)
        if found is None:
            return at
        size, end = found.given_bytes, found.end
        if found.has_escapes:  # some characters are written as six bytes
            size -= 3 * lines.count(b"\\u", at, end)  # as `text_length` takes them
        self._text_bytes += size
        return end

    def _looked_at(self, lines: bytes, at: int) -> int:
        """Where it ends what is looked at closely: of many events those up to the second.

        Events of nothing but a text mostly follow there, and what is no text stands at the end.
        """
        if len(lines) - at < _LONG_READ or not self._runs_left or self._finished:
            return len(lines)
        end = lines.find(b"\n\n", lines.find(b"\n\n", at) + 2) + 2
        return end if lines.startswith(b"data:", end) and end >= at + 4 else len(lines)

    def _read_closely(self, lines: bytes) -> bytes:
        self._last = (self._last + lines[-3:])[-3:]
        shown = self._passed(lines)
        self._is_amid = bool(self._event) or self._skips_blank or not self.is_between_events
        return shown

    def _passed(self, lines: bytes) -> bytes:
        self._finished += len(_FINISHED.findall(lines))
        if b"[DONE]" in lines and not self.is_ended:
            self.is_ended = lines.rstrip().endswith(_DONE_LAST) or bool(_DONE.search(lines))
        if b"error" in lines or self._event:
            self._look_for_error(lines)
        self._text_bytes += text_length(lines)
        if not self._skips_blank and not may_report_usage(lines):
            self._learn(lines)
            return lines
        return b"".join(line for line in lines.splitlines(keepends=True) if self._passes(line))

    def _learn(self, lines: bytes) -> None:
        """Know the next events like the last of these, unless that says more than one text."""
        if self._finished or self.is_ended or not self._runs_left or _ERROR.search(lines):
            return
        self._runs_left -= 1
        separator = separator_before(lines, len(lines))
        end = len(lines) - len(separator)
        event = lines[lines.rfind(b"\n", 0, end) + 1 : end]
        texts = [found for found in TEXT.finditer(event) if found.group(1)]
        self.run = None
        if len(texts) == 1 and lines.endswith(b"}" + separator):
            start = texts[0].start()
            name = event[start : event.index(b'"', start + 1) + 1]
            self.run = TextRun.of_chunk(event, name=name, separator=separator)

    # Usage ------------------------------------------------------------------------------------

    def _passes(self, line: bytes) -> bool:
        if self._skips_blank:
            self._skips_blank = False
            if not line.strip():
                return False
        if line.startswith(b"data:") and may_report_usage(line) and self._is_usage_chunk(line[5:]):
            self._skips_blank = True
            return False
        return True

    def _is_usage_chunk(self, text: bytes) -> bool:
        """Note the usage; True for the usage chunk that the client did not request."""
        try:
            fields = parse_json(text)
        except ValueError:
            return False
        if not is_object(fields):
            return False
        is_reported = self._tally.take(fields)
        if is_reported:
            self._first_usage = self._first_usage or self._tally.usage
            self.service_tier = read_service_tier(fields) or self.service_tier
        if not self._hides_usage or fields.get("choices") or fields.get("error"):
            return False
        if is_object(fields.get("usage")):  # a usage of zeros is none, too
            return True
        return is_reported and "choices" in fields

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
