"""A provider's answer read in OpenAI's format: whole, as a stream, or as an error."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from nexus_core.agents.base import ReportedError, Response, read_whole
from nexus_core.errors import InvalidRequestError
from nexus_core.events import TokenUsage
from nexus_core.translation.openai import JsonObject, parse_json
from nexus_core.translation.report import StreamFailedError
from nexus_core.translation.sse import DONE, SseEvent, SseParser, encode_event
from nexus_core.upstream.base import Headers, UpstreamProtocolError, UpstreamResponse

_MAX_ERROR_BYTES = 1024 * 1024
_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "text/event-stream; charset=utf-8")


class StreamTranslator(Protocol):
    """The state of one stream: the provider's events in, OpenAI's chunks out."""

    @property
    def is_complete(self) -> bool: ...

    @property
    def usage(self) -> TokenUsage | None: ...

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """The chunks that this event gives.

        Raises:
            StreamFailedError: the provider says that it failed.
            ValueError: what comes makes no sense.
        """
        ...

    def finish(self) -> list[JsonObject]:
        """What is due once a complete stream is over."""
        ...


class AnswerTranslator(Protocol):
    """How one call's answer becomes OpenAI's."""

    ends_at_completion: bool  # the provider's last event is known for one; else the body's end is

    def whole(self, answer: JsonObject) -> JsonObject:
        """A whole answer.

        Raises:
            ValueError: it makes no sense.
        """
        ...

    def usage(self, answer: JsonObject) -> TokenUsage | None:
        """What a whole answer tells of its usage, which OpenAI's form may not hold all of."""
        ...

    def stream(self) -> StreamTranslator:
        """The state for a stream."""
        ...

    def error(self, status: int, body: bytes) -> tuple[int, JsonObject, float | None]:
        """Status, OpenAI's envelope, and how many seconds the provider asks to wait."""
        ...


def dump_body(body: JsonObject) -> bytes:
    """A translated request as bytes, in ASCII: texts may hold lone surrogates.

    Raises:
        InvalidRequestError: it is nested deeper than can be written.
    """
    try:
        return json.dumps(body, separators=(",", ":")).encode()
    except RecursionError as error:
        raise InvalidRequestError("the body is nested too deep") from error


async def translated(
    response: UpstreamResponse,
    translator: AnswerTranslator,
    *,
    is_streaming: bool,
    max_bytes: int,
) -> Response:
    """The answer in OpenAI's format. An error's body is read here: it may change the status.

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
        return TranslatedStream(response, translator)
    return TranslatedWhole(response, translator, max_bytes)


def _without(headers: Headers, kind: tuple[str, str]) -> Headers:
    """The headers with another content type."""
    return (*(pair for pair in headers if pair[0] != kind[0]), kind)


def _retry_after(headers: Headers, seconds: float | None) -> Headers:
    if seconds is None or any(name == "retry-after" for name, _ in headers):
        return ()
    return (("retry-after", f"{max(1.0, seconds):.0f}"),)


@dataclass(slots=True)
class Ready:
    """An answer whose body is known."""

    status: int
    headers: Headers
    body: bytes
    open: UpstreamResponse | None = None  # what is still to be closed
    usage: TokenUsage | None = None

    async def chunks(self) -> AsyncGenerator[bytes]:
        yield self.body

    async def close(self) -> None:
        if self.open is not None:
            await self.open.close()


class TranslatedWhole:
    """A whole answer, translated once all of it is here."""

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

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The body.

        Raises:
            UpstreamProtocolError: it ended early, is too long, or makes no sense.
        """
        body = await read_whole(self._response, self._max_bytes)
        try:
            answer = parse_json(body)
            if not isinstance(answer, dict):
                raise ValueError("no JSON object")
            self.usage = self._translator.usage(answer)
            yield json.dumps(self._translator.whole(answer)).encode()
        except ValueError as error:
            raise UpstreamProtocolError(f"its answer can't be translated: {error}") from error


class TranslatedStream:
    """A stream, translated event by event; holds no more than one event."""

    def __init__(self, response: UpstreamResponse, translator: AnswerTranslator) -> None:
        self.status = response.status
        self._is_stream = any(
            name == "content-type" and value.lstrip().lower().startswith("text/event-stream")
            for name, value in response.headers
        )
        self.headers = _without(response.headers, _EVENTS)
        self.close = response.close
        self._response = response
        self._parser = SseParser()
        self._stream = translator.stream()
        self._ends_at_completion = translator.ends_at_completion

    @property
    def usage(self) -> TokenUsage | None:
        """What the provider reported so far, whether the client asked for it or not."""
        return self._stream.usage

    async def chunks(self) -> AsyncGenerator[bytes]:
        """OpenAI's events, each as soon as its cause has come.

        An empty piece has nothing for the client, and says that the backend is alive.

        Raises:
            UpstreamProtocolError: it ended early, reported an error, or makes no sense.
        """
        if not self._is_stream:
            raise UpstreamProtocolError("it answers a request for a stream without one")
        stream, has_begun = self._stream, False
        async with aclosing(self._response.chunks()) as chunks:
            async for chunk in chunks:
                made = bytearray()
                try:
                    self._translate(chunk, made)
                except UpstreamProtocolError:
                    if has_begun:  # else another backend may still give the whole answer
                        yield bytes(made)
                    raise
                has_begun = has_begun or bool(made)
                yield bytes(made)
                if self._ends_at_completion and stream.is_complete:
                    break
        if not stream.is_complete:
            raise UpstreamProtocolError("the stream ended without its end mark")
        yield b"".join(map(encode_event, stream.finish())) + DONE

    def _translate(self, chunk: bytes, made: bytearray) -> None:
        """Append what these bytes give to `made`, up to where something is wrong with them."""
        try:
            for event in self._parser.feed(chunk):
                for piece in self._stream.feed(event):
                    made += encode_event(piece)
        except StreamFailedError as error:
            raise ReportedError(f"{error.message} ({error.type})", error.status) from error
        except ValueError as error:
            raise UpstreamProtocolError(f"its stream can't be translated: {error}") from error
