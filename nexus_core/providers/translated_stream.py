"""Streams translated into OpenAI's format, event by event."""

from __future__ import annotations

from typing import Protocol

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.base.stream import Opening, OpeningState
from nexus_core.dialects.hub.chunk_bytes import encode_chunk
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.openai_chat.answers import text_length
from nexus_core.dialects.openai_chat.failures import is_content
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.sse import (
    DONE,
    EventSplitter,
    Shape,
    SseEvent,
    read_event,
    separator_before,
    shape_of,
)
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import KeyCutter, ReportedError
from nexus_core.types import JsonObject, JsonValue
from nexus_core.upstream.base import UpstreamError, UpstreamProtocolError

_NO_STREAM = "answered a streaming request without a stream"


class StreamTranslator(Protocol):
    """Translator of one stream: the provider's events in, OpenAI's chunks out."""

    @property
    def is_complete(self) -> bool: ...

    @property
    def usage(self) -> TokenUsage | None: ...

    @property
    def text_bytes(self) -> int:
        """Bytes of text in what `feed_texts` made."""
        ...

    def feed_texts(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Where the events end that begin there and only continue a text; their chunks, encoded.

        `at` where there are none. The chunks are those that `feed` would give.
        """
        ...

    def learn(self, event: bytes, separator: bytes) -> None:
        """Take an event that `feed` had for one that more such may follow, for `feed_texts`.

        Args:
            separator: what stood behind it, up to the next one.
        """
        ...

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Translate one event into chunks.

        Raises:
            StreamFailedError: the provider reported an error.
            ValueError: the event is invalid.
        """
        ...

    def finish(self) -> list[JsonObject]:
        """Chunks due after a complete stream."""
        ...


class AnswerTranslator(Protocol):
    """Translator of one call's answer into OpenAI's format."""

    ends_at_completion: bool  # the provider's last event is known for one; else the body's end is
    counts_unended_event: bool  # its own SDK reads a last event that lacks its blank line

    def whole(self, answer: JsonObject) -> JsonObject:
        """Translate a whole answer.

        Raises:
            ValueError: it is invalid.
        """
        ...

    def usage(self, answer: JsonObject) -> TokenUsage | None:
        """Read the usage of a whole answer; OpenAI's format may not hold all of it."""
        ...

    def stream(self) -> StreamTranslator:
        """Create the translator of a stream."""
        ...

    def reported(self, answer: JsonValue) -> StreamFailedError | None:
        """Read the error in the parsed body of a 2xx answer; None without one."""
        ...

    def error(self, status: int, body: bytes) -> tuple[int, JsonObject, float | None]:
        """Translate an error into status, OpenAI's envelope and the retry delay in seconds."""
        ...


class TranslatedStream:
    """One stream of a provider on its way to the client; holds at most one event.

    It knows its own usage, text and end: nobody has to read what it made. It is its own `opening`.
    """

    report: ErrorReport | None = None  # an error in the middle of a stream is a `failure`
    reported = ""
    service_tier: str | None = None
    run: TextRun | None = None  # of what it made
    held = b""  # nothing of the body is kept, but of an event
    unfinished = b""

    def __init__(self, translator: AnswerTranslator, keys: KeyCutter, max_bytes: int) -> None:
        """`max_bytes`: of a body that is no stream."""
        self._keys = keys
        self.state = OpeningState.WAITING
        self.failure: UpstreamError | None = None
        self.is_ended = False
        self._translator = translator
        self._stream = translator.stream()
        self._events = EventSplitter()
        self._max_bytes = max_bytes
        self._shape = Shape.UNKNOWN
        self._head = b""  # of the body, until its shape is known; of what is no stream all
        self._opened = b""  # what was made so far of an answer that has not begun
        self._has_content = False
        self._text_bytes = 0  # beside those that the translator counts
        self._first_usage: TokenUsage | None = None

    @property
    def opening(self) -> Opening:
        return self

    # Before the answer begins ------------------------------------------------------------------

    def feed(self, chunk: bytes) -> OpeningState:
        """Add bytes of the stream; gives the new state.

        Raises:
            UpstreamError: it is no stream, reports an error, or can't be translated.
        """
        if self._shape is not Shape.EVENTS:
            chunk = self._recognise(chunk)
        self._open(self.read(chunk))
        return self.state

    def end(self) -> OpeningState:
        """Note the end of the body.

        Raises:
            UpstreamError: it ended early, or was no stream.
        """
        if self._shape is Shape.JSON:
            raise self._refusal()
        self._open(self.finish())
        if not self.is_ended:
            raise UpstreamProtocolError("the stream ended without its end marker")
        return self.state

    def _open(self, made: bytes) -> None:
        if self.failure is not None:  # nothing has reached the client: another backend may answer
            raise self.failure
        self._opened += made
        if self._has_content or self._stream.text_bytes:
            self.state = OpeningState.BEGUN
        elif self._opened:
            self.state = OpeningState.PREFACE

    def _recognise(self, chunk: bytes) -> bytes:
        """Recognise an event stream by its first bytes, not its content type; empty: not yet known.

        Raises:
            UpstreamError: it is not an event stream.
        """
        self._head += chunk
        if self._shape is Shape.UNKNOWN:
            self._shape = shape_of(self._head)
        if self._shape is Shape.EVENTS:
            head, self._head = self._head, b""
            return head
        if self._shape is Shape.OTHER:
            raise UpstreamProtocolError(_NO_STREAM)
        if len(self._head) > self._max_bytes:
            raise self._refusal()
        return b""

    def _refusal(self) -> UpstreamProtocolError:
        """Why a body of JSON is no stream: it may report an error."""
        try:
            reported = self._translator.reported(parse_json(self._head))
        except ValueError:
            reported = None
        return UpstreamProtocolError(_NO_STREAM) if reported is None else as_reported(reported)

    # After that --------------------------------------------------------------------------------

    def begin(self) -> bytes:
        """The client's first bytes."""
        opened, self._opened = self._opened, b""
        return opened

    def read(self, data: bytes) -> bytes:
        """What these bytes are for the client, up to the first event that ends the stream."""
        made = self._translate(data)
        return self._keys.cut(made) if self._keys.has_key else made

    def finish(self) -> bytes:
        """The last chunks, at the end of the body."""
        if self.is_ended or self.failure is not None:
            return b""
        is_wanted = self._translator.counts_unended_event and not self._stream.is_complete
        made = self._translate(b"", self._events.finish()) if is_wanted else b""
        return self._keys.cut(made + self._end() if self._stream.is_complete else made)

    def _translate(self, data: bytes, whole: list[bytes] | None = None) -> bytes:
        """Translate events of any kind, up to one that ends the stream: first these, then others.

        Args:
            whole: without the blank lines behind them.
        """
        made: list[bytes] = []
        stream, events, at = self._stream, self._events, 0
        try:
            while True:
                for event in whole or ():
                    if self.is_ended:
                        break
                    if piece := self._translate_one(event):
                        made.append(piece)
                        stream.learn(event, separator_before(data, at))
                if at >= len(data) or self.is_ended:
                    break
                if events.is_between:
                    end, piece = stream.feed_texts(data, at)
                    if end > at:
                        made.append(piece)
                        at, whole = end, None
                        continue
                whole, at = events.feed_one(data, at)
        except StreamFailedError as error:
            self.failure = as_reported(error)
        except ValueError as error:
            self.failure = _untranslatable(error)
        return b"".join(made)

    def _translate_one(self, data: bytes) -> bytes:
        """Translate an event of any kind."""
        event = read_event(data)
        if event is None:
            return b""
        stream = self._stream
        chunks = stream.feed(event)
        if not self._has_content:
            self._has_content = any(map(is_content, chunks))
        made = b"".join(map(encode_chunk, chunks))
        self._text_bytes += text_length(made)
        if self._first_usage is None:
            self._first_usage = stream.usage
        if self._translator.ends_at_completion and stream.is_complete:
            made += self._end()
        return made

    def _end(self) -> bytes:
        chunks = self._stream.finish()
        self._has_content = True
        self.is_ended = True
        return b"".join(map(encode_chunk, chunks)) + DONE

    # What is known of it -----------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the end mark was made."""
        return self.is_ended

    @property
    def is_complete(self) -> bool:
        """The same: it is made of complete answers only."""
        return self.is_ended

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far, requested by the client or not."""
        return self._stream.usage

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text, unless a usage was reported at its end, or as it grew."""
        first = self._first_usage
        if first is not None and (self.is_ended or first != self._stream.usage):
            return 0
        return self._text_bytes + self._stream.text_bytes


def _untranslatable(error: ValueError) -> UpstreamProtocolError:
    return UpstreamProtocolError(f"stream can't be translated: {error}")


def as_reported(error: StreamFailedError) -> ReportedError:
    """A provider's error as the error that ends an exchange."""
    words = f"{error.message} ({error.type})"
    return ReportedError(words, error.status, error.type, error.wait_seconds)
