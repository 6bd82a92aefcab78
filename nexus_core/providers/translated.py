"""Answers translated into OpenAI's format: whole, streamed, or an error."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import msgspec

from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import ModelFailedError
from nexus_core.dialects.sse import MEDIA_TYPE
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import AnswerStream, KeyCutter, ReportedError, Response, read_whole
from nexus_core.providers.translated_stream import AnswerTranslator, TranslatedStream, as_reported
from nexus_core.types import JsonObject, is_object
from nexus_core.upstream.base import Headers, UpstreamProtocolError, UpstreamResponse

_MAX_ERROR_BYTES = 1024 * 1024
_encode = msgspec.json.Encoder().encode
_written = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", f"{MEDIA_TYPE}; charset=utf-8")


def dump_body(body: JsonObject) -> bytes:
    """A translated request as bytes.

    Raises:
        InvalidRequestError: it is nested too deep to be written, or has a number that JSON
            can't hold: 1e999 is read as infinity.
    """
    try:
        written = _encode(body)
    except (UnicodeError, RecursionError):
        pass  # `json` writes lone surrogates, and says what is too deep
    else:
        if b"null" not in written:  # which may stand for a number that JSON can't hold
            return written
    try:
        return _written(body).encode()  # in ASCII
    except RecursionError as error:
        raise InvalidRequestError("the body is nested too deep") from error
    except ValueError as error:
        raise InvalidRequestError("a number in the body is out of range") from error


async def translated(
    response: UpstreamResponse,
    translator: AnswerTranslator,
    keys: KeyCutter,
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
        await response.close()
        return Ready(status, response.headers, b"")
    if is_streaming:
        return StreamedResponse(response, TranslatedStream(translator, keys, max_bytes))
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
    usage: TokenUsage | None = None
    stream: AnswerStream | None = None

    def at_hand(self) -> bytes | None:
        body, self.body = self.body, b""
        return body

    async def read(self) -> bytes:
        return self.at_hand() or b""

    async def close(self, *, is_read: bool = False) -> None:
        """Nothing is left to close."""


class StreamedResponse:
    """An answer whose body is read as it comes, and translated by its `stream`."""

    usage: TokenUsage | None = None  # the stream's

    def __init__(self, response: UpstreamResponse, stream: AnswerStream) -> None:
        self.status = response.status
        self.headers = _without(response.headers, _EVENTS)
        self.at_hand = response.at_hand
        self.read = response.read
        self.close = response.close
        self.stream: AnswerStream | None = stream


class TranslatedWhole:
    """A whole answer, translated after its last byte."""

    stream: AnswerStream | None = None

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

    def at_hand(self) -> bytes | None:
        """None: it is to be read."""
        return None

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
                raise as_reported(error)
            if not is_object(answer):
                raise ValueError("no JSON object")
            self.usage = self._translator.usage(answer)
            return json.dumps(self._translator.whole(answer)).encode()
        except ModelFailedError as error:
            raise ReportedError(f"the model failed: {error}", 502, error.kind) from error
        except ValueError as error:
            raise UpstreamProtocolError(f"answer can't be translated: {error}") from error
