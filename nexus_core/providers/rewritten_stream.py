"""Streams in the hub's format, written anew in the client's."""

from __future__ import annotations

from nexus_core.dialects.base.bridge import StreamWriter
from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.base.stream import Opening
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import AnswerStream
from nexus_core.upstream.base import UpstreamError, UpstreamProtocolError


class RewrittenStream:
    """One stream on its way to a client of another format; all that is known of it is the inner's.

    Its end is written when the inner stream has ended: only then is the usage known.
    """

    def __init__(self, inner: AnswerStream, writer: StreamWriter) -> None:
        self.opening: Opening = inner.opening
        self.is_ended = False  # the end mark came
        self.failure: UpstreamError | None = None  # ends the stream behind what was given last
        self._inner = inner
        self._writer = writer
        self._is_closed = False

    def begin(self) -> bytes:
        """The client's first bytes."""
        return self._written(self._inner.begin())

    def read(self, data: bytes) -> bytes:
        """What these bytes are for the client."""
        return self._written(self._inner.read(data))

    def finish(self) -> bytes:
        """The client's last bytes: the end of the answer, or the error that it reported."""
        made = self._written(self._inner.finish())
        if self._is_closed or self.failure is not None:
            return made
        if self._inner.report is not None:
            self._is_closed = True
            return made + self._writer.fail(self._inner.report)
        return made + self._end() if self._inner.is_complete else made

    def _written(self, lines: bytes) -> bytes:
        inner = self._inner
        self.is_ended = inner.is_ended
        if inner.failure is not None:
            self.failure = inner.failure
        if self._is_closed:
            return b""
        try:
            made = self._writer.write(lines, inner.run)
            return made + self._end() if self.is_ended and inner.is_over else made
        except ValueError as error:
            self.failure = UpstreamProtocolError(f"stream can't be translated: {error}")
            return b""

    def _end(self) -> bytes:
        if self._inner.report is not None:
            return b""
        self._is_closed = True
        return self._writer.end(self._inner.usage)

    # What is known of it -----------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the event of the end mark has ended."""
        return self._inner.is_over

    @property
    def unfinished(self) -> bytes:
        """A line of the inner stream that has not ended."""
        return self._inner.unfinished

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far."""
        return self._inner.usage

    @property
    def service_tier(self) -> str | None:
        """Which tier served it, where the stream says so."""
        return self._inner.service_tier

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text that no reported usage covers."""
        return self._inner.unreported_bytes

    @property
    def run(self) -> TextRun | None:
        """What its reader finds events of a text by."""
        return self._inner.run

    @property
    def report(self) -> ErrorReport | None:
        """The error event that the stream had in its middle."""
        return self._inner.report

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete, with an end mark or without."""
        return self._inner.is_complete
