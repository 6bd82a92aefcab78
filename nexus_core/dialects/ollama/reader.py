"""Read a stream of lines, each a JSON object, that passes as it came: its beginning and its end.

The last line has `done` and the counts. https://docs.ollama.com/api/streaming
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.base.stream import OpeningState
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.ollama.native import has_content, read_usage, report_in, text_length
from nexus_core.dialects.parsing import parse_json
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_object

# Of a line that says more than a piece of text; within a text the quotes have backslashes.
_TELLING = re.compile(rb'"done"\s*:\s*true|"error"\s*:')
_LARGEST_ERROR_BYTES = 64 * 1024  # a first line that goes on beyond this is content
# Of a last line, which may hold the whole conversation as numbers, in `context`.
_MAX_LINE_BYTES = 4 * 1024 * 1024
_BLANKS = b" \t\r\n"


class LineOpening:
    """The first lines of a streamed answer, held until they are content or an error.

    The result is the same wherever the bytes are split.
    """

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """`clean` removes the backend's key from error texts."""
        self.held = bytearray()
        self.state = OpeningState.WAITING
        self.report: ErrorReport | None = None  # where it is faulty
        self.reported = ""  # the line that says so
        self._clean = clean
        self._parsed = 0  # bytes of `held`

    def feed(self, chunk: bytes) -> OpeningState:
        """Add bytes of the stream; gives the new state. After BEGUN nothing more has to be fed."""
        self.held += chunk
        if not self._parsed:
            begin = bytes(self.held.lstrip(_BLANKS)[:1])
            if begin not in (b"", b"{"):
                self.state = OpeningState.NO_STREAM
        while self._is_open and (end := self.held.find(b"\n", self._parsed)) >= 0:
            line, self._parsed = bytes(self.held[self._parsed : end]), end + 1
            self._weigh(line)
        if self._is_open and len(self.held) - self._parsed > _LARGEST_ERROR_BYTES:
            self.state = OpeningState.BEGUN
        return self.state

    def end(self) -> OpeningState:
        """Note the end of the body; a last line without its end counts too."""
        if self._is_open:
            self._weigh(bytes(self.held[self._parsed :]))
        return self.state

    @property
    def _is_open(self) -> bool:
        return self.state in (OpeningState.WAITING, OpeningState.PREFACE)

    def _weigh(self, line: bytes) -> None:
        if not line.strip():
            return
        fields = _object_in(line)
        if fields is None:
            self.state = OpeningState.BEGUN  # not ours to read: the client may
        elif report_in(fields) is not None:
            self.reported = self._clean(line.decode("utf-8", "replace"))
            told = _object_in(self.reported.encode("utf-8", "replace")) or fields
            self.state, self.report = OpeningState.FAULTY, report_in(told)
        elif fields.get("done") is True or has_content(fields):
            self.state = OpeningState.BEGUN
        else:
            self.state = OpeningState.PREFACE


class LineReader:
    """Reader of one stream; sees every byte once, and keeps numbers, no text."""

    service_tier: str | None = None
    run: TextRun | None = None

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """`clean` removes the backend's key from error texts."""
        self.opening = LineOpening(clean)
        self.usage: TokenUsage | None = None  # that the last line reported
        self.report: ErrorReport | None = None  # in mid-stream
        self.is_ended = False  # the line with `done` came
        self.is_between_events = True
        self._text_bytes = 0
        self._line = b""  # that has come in parts so far
        self._is_passing = False  # it is too long to be read

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: the line with `done` came."""
        return self.is_ended

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text, until the usage that covers them came with its end."""
        return 0 if self.usage is not None else self._text_bytes

    def read(self, lines: bytes) -> bytes:
        """Read whole lines, already without the key, or parts of one that is long; they pass."""
        if not lines:
            return lines
        self._text_bytes += text_length(lines)
        self.is_between_events = lines.endswith(b"\n")
        if self.is_between_events and not self._line and not self._is_passing:
            if _TELLING.search(lines):
                self._take(lines)
            return lines
        data = self._line + lines
        self._line = b""
        if self._is_passing:
            _, found, data = data.partition(b"\n")
            self._is_passing = not found
        whole, _, rest = data.rpartition(b"\n")
        self._take(whole)
        if self._is_passing or len(rest) > _MAX_LINE_BYTES:
            self._is_passing = True
        elif rest.rstrip().endswith(b"}") and _object_in(rest) is not None:
            self._take(rest)  # the last line of the body, which needs no end
        else:
            self._line = rest
        return lines

    def _take(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            if not _TELLING.search(line):
                continue
            fields = _object_in(line)
            if fields is None:
                continue
            self.report = self.report or report_in(fields)
            if fields.get("done") is True:
                self.is_ended = True
                self.usage = read_usage(fields) or self.usage


def _object_in(line: bytes) -> JsonObject | None:
    try:
        fields = parse_json(line, allows_nan=True)
    except ValueError:
        return None
    return fields if is_object(fields) else None
