"""Answers translated into OpenAI's format: whole, streamed, or an error."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import ModelFailedError, StreamFailedError
from nexus_core.dialects.sse import (
    DONE,
    MEDIA_TYPE,
    Shape,
    SseEvent,
    SseParser,
    encode_event,
    shape_of,
)
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import ReportedError, Response, read_whole
from nexus_core.types import JsonObject, JsonValue, is_object
from nexus_core.upstream.base import Headers, UpstreamProtocolError, UpstreamResponse
from nexus_core.upstream.decoding import GZIP, Inflated

_MAX_ERROR_BYTES = 1024 * 1024
_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", f"{MEDIA_TYPE}; charset=utf-8")


class StreamTranslator(Protocol):
    """Translator of one stream: the provider's events in, OpenAI's chunks out."""

    @property
    def is_complete(self) -> bool: ...

    @property
    def usage(self) -> TokenUsage | None: ...

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


def dump_body(body: JsonObject) -> bytes:
    """A translated request as bytes, in ASCII: texts may hold lone surrogates.

    Raises:
        InvalidRequestError: it is nested too deep to be written, or has a number that JSON
            can't hold: 1e999 is read as infinity.
    """
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError as error:
        raise InvalidRequestError("the body is nested too deep") from error
    except ValueError as error:
        raise InvalidRequestError("a number in the body is out of range") from error


async def translated(
    response: UpstreamResponse,
    translator: AnswerTranslator,
    *,
    is_streaming: bool,
    max_bytes: int,
) -> Response:
    """Translate an answer. An error's body is read here: it may change the status.

    Raises:
        UpstreamError: an error's body ended early.
    """
    status = response.status
    if status >= 400:
        try:
            body = await read_whole(response, _MAX_ERROR_BYTES)
        finally:
            await response.close()
        status, envelope, wait_seconds = translator.error(status, body)
        headers = (
            *_without(response.headers, _JSON),
            *_retry_after(response.headers, wait_seconds),
        )
        return Ready(status, headers, json.dumps(envelope).encode())
    if status != 200:  # a redirect, or something that is no answer
        return Ready(status, response.headers, b"", response)
    if is_streaming:
        return TranslatedStream(response, translator, max_bytes)
    return TranslatedWhole(response, translator, max_bytes)


def _without(headers: Headers, kind: tuple[str, str]) -> Headers:
    """The headers with another content type."""
    return (*(pair for pair in headers if pair[0] != kind[0]), kind)


def _retry_after(headers: Headers, seconds: float | None) -> Headers:
    if seconds is None or any(name == "retry-after" for name, _ in headers):
        return ()
    return (("retry-after", str(math.ceil(max(1.0, seconds)))),)


@dataclass(slots=True)
class Ready:
    """An answer with its whole body in memory."""

    status: int
    headers: Headers
    body: bytes
    open: UpstreamResponse | None = None  # what is still to be closed
    usage: TokenUsage | None = None

    async def read(self) -> bytes:
        body, self.body = self.body, b""
        return body

    async def close(self) -> None:
        if self.open is not None:
            await self.open.close()


class TranslatedWhole:
    """A whole answer, translated after its last byte."""

    def __init__(
        self, response: UpstreamResponse, translator: AnswerTranslator, max_bytes: int
    ) -> None:
        self.status = response.status
        self.headers = _without(response.headers, _JSON)
        self.usage: TokenUsage | None = None  # known once the body was read
        self.close = response.close
        self._response = response
        self._translator = translator
        self._max_bytes = max_bytes
        self._is_read = False

    async def read(self) -> bytes:
        """The body, once all of it is here; then empty.

        Raises:
            UpstreamProtocolError: it ended early, is too long, or is invalid.
        """
        if self._is_read:
            return b""
        body = await read_whole(self._response, self._max_bytes)
        self._is_read = True
        try:
            answer = parse_json(body)
            if (error := self._translator.reported(answer)) is not None:
                raise _as_reported(error)
            if not is_object(answer):
                raise ValueError("no JSON object")
            self.usage = self._translator.usage(answer)
            return json.dumps(self._translator.whole(answer)).encode()
        except ModelFailedError as error:
            raise ReportedError(f"the model failed: {error}", 502, error.kind) from error
        except ValueError as error:
            raise UpstreamProtocolError(f"answer can't be translated: {error}") from error


class TranslatedStream:
    """A stream, translated event by event; holds at most one event."""

    def __init__(
        self, response: UpstreamResponse, translator: AnswerTranslator, max_bytes: int
    ) -> None:
        self.status = response.status
        self.headers = _without(response.headers, _EVENTS)
        self.close = response.close
        self._response = response
        self._translator = translator
        self._max_bytes = max_bytes  # of a body that is no stream, or is compressed
        self._shape = Shape.UNKNOWN
        self._head = b""  # until the shape is known
        self._parser = SseParser()
        self._stream = translator.stream()
        self._read_on: Callable[[], Awaitable[bytes]] = response.read
        self._has_begun = False
        self._is_over = False
        self._failure: UpstreamProtocolError | None = None  # for the read after the last chunks

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far, requested by the client or not."""
        return self._stream.usage

    async def read(self) -> bytes | None:
        """OpenAI's next events, each as soon as possible; empty at the end.

        None has nothing for the client, and shows that the backend is alive.

        Raises:
            UpstreamProtocolError: it ended early, reported an error, or is invalid.
        """
        stream = self._stream
        while not self._is_over:
            chunk = await self._read_on()
            if not chunk:
                return self._end()
            if self._shape is not Shape.EVENTS:
                if not self._head and chunk.startswith(GZIP):
                    inflated = Inflated(chunk, self._response.read, "gzip", self._max_bytes)
                    self._read_on = inflated.read
                    continue
                chunk = await self._recognise(chunk)
            made = bytearray()
            try:
                self._translate(self._parser.feed(chunk), made)
            except UpstreamProtocolError as error:
                if not (self._has_begun and made):  # else another backend may still answer
                    raise
                self._failure, self._is_over = error, True
                return bytes(made)
            if self._translator.ends_at_completion and stream.is_complete:
                return bytes(made) + self._end()
            if made:
                self._has_begun = True
                return bytes(made)
            if not _is_comment(chunk):
                return None
        if self._failure is not None:
            raise self._failure
        return b""

    def _end(self) -> bytes:
        """The last chunks, once the provider's stream is over.

        Raises:
            UpstreamProtocolError: it ended early.
        """
        self._is_over = True
        stream, made = self._stream, bytearray()
        if self._translator.counts_unended_event and not stream.is_complete:
            self._translate(self._parser.finish(), made)
        if not stream.is_complete:
            raise UpstreamProtocolError("the stream ended without its end marker")
        return bytes(made) + b"".join(map(encode_event, stream.finish())) + DONE

    async def _recognise(self, chunk: bytes) -> bytes:
        """Recognise an event stream by its first bytes, not its content type; empty: not yet known.

        Raises:
            UpstreamProtocolError: it is not an event stream.
        """
        self._head += chunk
        self._shape = shape_of(self._head)
        if self._shape is Shape.UNKNOWN:
            return b""
        if self._shape is Shape.EVENTS:
            head, self._head = self._head, b""
            return head
        if self._shape is Shape.JSON:
            while len(self._head) <= self._max_bytes and (more := await self._read_on()):
                self._head += more
            _raise_reported(self._head, self._translator)
        raise UpstreamProtocolError("answered a streaming request without a stream")

    def _translate(self, events: Iterator[SseEvent], made: bytearray) -> None:
        """Translate events and append the chunks to `made`, up to the first invalid event."""
        try:
            for event in events:
                for piece in self._stream.feed(event):
                    made += encode_event(piece)
        except StreamFailedError as error:
            raise _as_reported(error) from error
        except ValueError as error:
            raise UpstreamProtocolError(f"stream can't be translated: {error}") from error


def _is_comment(chunk: bytes) -> bool:
    """Whether there are only comments and blank lines, which are no sign of life of the model."""
    return chunk.startswith((b":", b"\n", b"\r")) and all(
        not line or line.startswith(b":") for line in chunk.splitlines()
    )


def _as_reported(error: StreamFailedError) -> ReportedError:
    words = f"{error.message} ({error.type})"
    return ReportedError(words, error.status, error.type, error.wait_seconds)


def _raise_reported(body: bytes, translator: AnswerTranslator) -> None:
    """Raise the error reported in the body of a 2xx answer, if any."""
    try:
        answer = parse_json(body)
    except ValueError:
        return
    if (error := translator.reported(answer)) is not None:
        raise _as_reported(error) from error
