"""Streams passed on as they came, line by line, without the backend's key."""

from __future__ import annotations

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.base.stream import Opening, StreamReader
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import KeyCutter
from nexus_core.upstream.base import UpstreamError

_MAX_LINE_BYTES = 64 * 1024  # of a line that has not ended; a longer one passes in parts


class PassedStream:
    """One stream of an OpenAI-compatible backend on its way to the client.

    Only whole lines are passed on, so that a stream that breaks can be ended with an event of our
    own that the client is able to read.
    """

    failure: UpstreamError | None = None  # it is passed on, whatever it says

    def __init__(self, reader: StreamReader, keys: KeyCutter) -> None:
        """`reader`: of the format that the stream is in."""
        self.opening: Opening = reader.opening
        self.unfinished = b""
        self.is_ended = False  # the end mark came
        self._reader = reader
        self._keys = keys
        self._line_end = b"\n"

    def begin(self) -> bytes:
        """The client's first bytes."""
        data = bytes(self.opening.held)
        if b"\r" in data and b"\n" not in data:
            self._line_end = b"\r"
        return self.read(data)

    def read(self, data: bytes) -> bytes:
        """What these bytes are for the client: the lines that are whole with them."""
        if self.unfinished:
            data, self.unfinished = self.unfinished + data, b""
        if data.endswith(self._line_end):
            whole = self._keys.cut(data) if self._keys.has_key else data
        else:
            whole = self._whole_lines(data)
        shown = self._reader.read(whole) if whole else b""
        self.is_ended = self._reader.is_ended
        return shown

    def _whole_lines(self, data: bytes) -> bytes:
        """The lines that have ended, without the key; what is left of the data is kept."""
        end = data.rfind(self._line_end) + 1
        if not end and len(data) > _MAX_LINE_BYTES:
            data = self._keys.cut(data)  # before the border, which may stand within a key
            end = len(data) - self._keys.longest  # in which another one may have begun
        self.unfinished = data[end:]
        return self._keys.cut(data[:end]) if end else b""

    def finish(self) -> bytes:
        """The last line, if it has no end."""
        data, self.unfinished = self.unfinished, b""
        shown = self._reader.read(self._keys.cut(data)) if data else b""
        self.is_ended = self._reader.is_ended
        return shown

    # What is known of it -----------------------------------------------------------------------

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far; None before the first report."""
        return self._reader.usage

    @property
    def service_tier(self) -> str | None:
        """Which tier served it, where the stream says so."""
        return self._reader.service_tier

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text that no reported usage covers."""
        return self._reader.unreported_bytes

    @property
    def report(self) -> ErrorReport | None:
        """The error event that was passed on in the middle of the stream."""
        return self._reader.report

    @property
    def run(self) -> TextRun | None:
        """What its reader finds events of a text by."""
        return self._reader.run

    @property
    def is_over(self) -> bool:
        """Whether the event of the end mark has ended."""
        return self.is_ended and self._reader.is_between_events

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete, with an end mark or without."""
        return self._reader.is_complete
