"""The interface of every agent (backend adapter), and shared values."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from nexus_core.dialects.base.bridge import AnswerWriter, HubTarget
from nexus_core.dialects.base.dialect import Dialect
from nexus_core.dialects.base.stream import StreamState
from nexus_core.dialects.report import Translation
from nexus_core.dialects.request import Request
from nexus_core.dialects.tool_calls.mapping import UNCHANGED, CallMapping
from nexus_core.known_secrets import is_placeholder
from nexus_core.observe.events import TokenUsage
from nexus_core.types import DialectName, ProbeResult
from nexus_core.upstream.base import (
    Headers,
    MaySend,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamResponse,
)
from nexus_core.upstream.decoding import GZIP, inflate_whole


@dataclass(slots=True, eq=False)
class WayBack:
    """Retry without the fields that Nexus added for its accounting, if a backend refuses them."""

    plain: Callable[[], Call]  # the call as the client sent it
    is_refusal: Callable[[int, bytes], bool]  # whether an error, by status and body, may be one
    remember: Callable[[], None]  # that this backend takes no additions


class Call(msgspec.Struct, kw_only=True, eq=False):
    """A request in one backend's format, ready to be sent; it does not change any more."""

    path: str
    body: bytes
    is_streaming: bool
    model: str  # by the backend's own name
    adds_usage: bool = False  # the stream is asked for its usage, and the client did not ask
    way_back: WayBack | None = None  # where something was added
    request: Request  # of the client: what it wants the answer to be
    dialect: Dialect  # in which `Response` gives the answer
    translation: Translation | None = None  # None: it passes as it came, but for the model's name
    headers: Headers = ()  # of the client's format, beside the backend's own
    writer: AnswerWriter | None = None  # of the answer, where the client's format is another

    def __repr__(self) -> str:
        """What may be shown: no prompt."""
        return f"Call(path={self.path!r}, model={self.model!r}, request={self.request!r})"


def call_mapping(call: Call) -> CallMapping:
    """Mapping of tool calls in the answer to the client's tools."""
    return UNCHANGED if call.translation is None else call.translation.calls


class AnswerStream(StreamState, Protocol):
    """One streamed answer on its way: the backend's bytes in, the client's bytes out.

    Until it is known what the answer is, its bytes go into `opening`; then `begin` gives what is
    due so far, and `read` takes the rest.
    """

    @property
    def failure(self) -> UpstreamError | None:
        """What ends the stream behind the bytes that were given last."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing belongs to the answer any more: the end mark's event has ended."""
        ...

    @property
    def unfinished(self) -> bytes:
        """A line that has not ended: read, and not passed on."""
        ...

    def begin(self) -> bytes:
        """The client's first bytes."""
        ...

    def read(self, data: bytes) -> bytes:
        """What these bytes are for the client; may be empty."""
        ...

    def finish(self) -> bytes:
        """The client's last bytes, after the end of the body or of the answer."""
        ...


class Response(Protocol):
    """A backend's answer in its call's dialect: status, headers, and the body still to be read."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def usage(self) -> TokenUsage | None:
        """Usage known beside the body, which may not report it."""
        ...

    @property
    def stream(self) -> AnswerStream | None:
        """The translation of what `read` gives; None where that is in the call's dialect."""
        ...

    def at_hand(self) -> bytes | None:
        """What is left of the body, if all of it is here; None: it is to be read."""
        ...

    async def read(self) -> bytes:
        """The body's next bytes as they arrive; empty at its end: then nothing is left to close.

        Cancelling a read of a stream loses nothing: the next one gives it.

        Raises:
            UpstreamError: it ended early, or with an error of the provider.
        """
        ...

    async def close(self, *, is_read: bool = False) -> None:
        """End the exchange, cancelling it if in progress. Safe to call twice.

        Args:
            is_read: all that matters of the body was read; the connection may be used again.
        """
        ...


class InferenceAgent(Protocol):
    """The adapter of one backend."""

    @property
    def name(self) -> str: ...

    @property
    def keys(self) -> KeyCutter:
        """Redaction of this backend's key in all that it answers."""
        ...

    @property
    def translates(self) -> bool:
        """Whether requests are translated, which costs time for every byte."""
        ...

    @property
    def passes(self) -> Collection[DialectName]:
        """Formats beside the hub's whose requests pass as they come.

        `prepare` takes requests in these and in the hub's format.
        """
        ...

    @property
    def hub_target(self) -> HubTarget:
        """What a request in the hub's format has to suit here."""
        ...

    @property
    def refuses_effort(self) -> set[str]:
        """Models that refuse `reasoning_effort`, found out by asking them."""
        ...

    @property
    def auth_hint(self) -> str:
        """Hint for a refused key; names the environment variable, never the key."""
        ...

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        """Translate a request into this backend's format; nothing is sent.

        Args:
            wants_usage: request usage in a stream, whether the client did or not.

        Raises:
            InvalidRequestError: a field read by the translation is invalid.
            UnsupportedFieldsError: the provider does not support a field.
        """
        ...

    def send(self, call: Call, may_send: MaySend) -> Coroutine[Any, Any, Response]:
        """Send a call and wait for the answer's head.

        Args:
            may_send: called on an open connection, before the first byte is written.

        Raises:
            UpstreamError: there is no answer.
        """
        ...

    async def count_tokens(self, request: Request, model: str) -> int | None:
        """The backend's own count of a prompt, free of charge; None where it has none.

        Raises:
            UpstreamError: there is no answer.
        """
        ...

    async def ask_apis(self) -> tuple[str, ...] | None:
        """The APIs that the backend speaks itself, by name; asked of it now and then.

        Never costs money or loads a model, never raises. None: it was not to be found out.
        """
        ...

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        """Check health and list the models; never costs money, never raises."""
        ...


class KeyCutter:
    """Redaction of a backend's key: replaces it in texts and bytes, plain or escaped as in JSON.

    A placeholder such as `EMPTY` is no key, and stays.
    """

    MARK = b"[key]"

    def __init__(self, key: str | None) -> None:
        if key is not None and is_placeholder(key):
            key = None
        self._key = key.encode() if key else None
        self._text = key or "\n"  # which no value holds
        self.has_key = self._key is not None  # else nothing is ever cut
        self._escaped = re.compile("".join(map(_as_json_has_it, key or "-")).encode())
        # Without one of these it does not stand there escaped. A dash is never escaped by itself.
        own = {f"\\{char}" for char in key or "" if not _PLAIN.match(char)}
        codes = {f"\\u{ord(char) >> 4:03x}" for char in key or ""}  # without their last digit
        if key is not None and not key.isascii():  # then they may be written in two ways
            codes = {"\\u"}
        self._signs = tuple(sign.encode() for sign in own)
        self._codes = tuple(code.encode() for code in codes)
        self.longest = len(self._key or b"") * _ESCAPED_BYTES  # bytes that one can take

    def cut(self, data: bytes) -> bytes:
        """The bytes with the key replaced."""
        if self._key is None:
            return data
        if self._key in data:
            data = data.replace(self._key, self.MARK)
        if b"\\" in data and self._may_be_escaped(data):
            return self._escaped.sub(self.MARK, data)
        return data

    def _may_be_escaped(self, data: bytes) -> bool:
        if b"\\u" in data:
            for code in self._codes:
                if code in data:
                    return True
        return any(sign in data for sign in self._signs)

    def cut_headers(self, headers: Headers) -> Headers:
        """The headers with the key in their values replaced."""
        # All at once: it is hardly ever there, and a value holds no line end.
        together = "\n".join([value for _, value in headers])
        if together.isascii() and "\\" not in together and self._text not in together:
            return headers  # the key can't be there, neither plain nor escaped
        if self.cut_text(together) == together:
            return headers
        return tuple((name, self.cut_text(value)) for name, value in headers)

    def cut_text(self, text: str) -> str:
        """The text with the key and lone surrogates replaced."""
        return self.cut(text.encode("utf-8", "replace")).decode()


_PLAIN = re.compile(r"[A-Za-z0-9_-]")
_ESCAPED_BYTES = 12  # of a character that is escaped three times: JSON within JSON within JSON


def _as_json_has_it(char: str) -> str:
    r"""A pattern for a character and its JSON escapes: \/ of PHP, \u002B of .NET and Go."""
    code = "".join(f"[{digit}{digit.upper()}]" for digit in f"{ord(char):04x}")
    itself = "" if char.isalnum() else f"|{re.escape(char)}"
    return rf"(?:{re.escape(char)}|\\\\{{0,6}}(?:u{code}{itself}))"


class ReportedError(UpstreamProtocolError):
    """Error reported by the provider inside its answer; `status` is the one it stands for."""

    def __init__(
        self, message: str, status: int, kind: str = "", wait_seconds: float | None = None
    ) -> None:
        """`kind` is the provider's own error type: overloaded_error, MALFORMED_FUNCTION_CALL, …"""
        super().__init__(message)
        self.wait_seconds = wait_seconds  # that it asks for before the next try
        self.status = status if 400 <= status < 600 else 502
        self.kind = kind


async def read_whole(response: Response | UpstreamResponse, max_bytes: int) -> bytes:
    """Read the whole body; gzip without a Content-Encoding header is inflated.

    Raises:
        UpstreamProtocolError: the body is longer than `max_bytes`, or ended early.
    """
    parts: list[bytes] = []
    size = 0
    while piece := await response.read():
        size += len(piece)
        if size > max_bytes:
            break
        parts.append(piece)
    return _whole(b"".join(parts), size, max_bytes)


def whole_at_hand(response: Response | UpstreamResponse, max_bytes: int) -> bytes | None:
    """The same, where all of the body is here; None: it is to be read.

    Raises: as `read_whole`.
    """
    body = response.at_hand()
    return None if body is None else _whole(body, len(body), max_bytes)


def _whole(body: bytes, size: int, max_bytes: int) -> bytes:
    if size > max_bytes:
        raise UpstreamProtocolError(f"answer over {max_bytes} bytes")
    return inflate_whole(body, max_bytes) if body.startswith(GZIP) else body
