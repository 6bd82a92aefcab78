"""Read request bodies: bounded in size, time and memory, the same on every path."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from nexus_core.api.asgi.encoding import Inflater, as_utf8, inflater
from nexus_core.api.asgi.messages import (
    RECEIPT_TIMEOUT_SECONDS,
    RECEIVE_BY,
    ClientLeftError,
    Message,
    Receive,
    Scope,
    header,
)
from nexus_core.api.asgi.zstd import ZstdInflater
from nexus_core.errors import InvalidRequestError, PayloadTooLargeError

MAX_COMMAND_BYTES = 1024 * 1024  # parsed, JSON may take many times its length in memory
MAX_COMMAND_KEYS = 100  # of one object; FastAPI makes an error of each that it does not know

_CONFIGURED = "max_body_bytes"
_PROMPTS = frozenset({"/nexus/explain", "/nexus/send"})  # as long as those of the data plane
_CONTROL = "/nexus/"
_COUNTS = ("/count_tokens", ":countTokens")  # of a prompt, which is read as a request's
_BLOBS = "/api/blobs/"  # files, which nobody keeps here


async def read_body(
    scope: Scope, receive: Receive, max_bytes: int, what: str = _CONFIGURED
) -> bytes:
    """Read a whole request body, decompressed.

    Args:
        what: the limit's name, for people.

    Raises:
        PayloadTooLargeError: at the declared length, or as soon as the limit is passed; it holds
            for what comes in and for what that inflates to.
        UnsupportedEncodingError: it is compressed in a way that is not read here.
        InvalidRequestError: it did not come within RECEIPT_TIMEOUT_SECONDS, or is not what its
            Content-Encoding says.
        ClientLeftError: the client left before it was whole.
    """
    inflating, parts = None, list[bytes]()
    for name, _ in scope["headers"]:
        if name == b"content-encoding":
            inflating = inflater(scope)
            break
    await _receive(scope, receive, _Body(max_bytes, what, inflating, parts))
    if inflating is not None:
        inflating.finish()
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def pass_over_body(scope: Scope, receive: Receive, max_bytes: int) -> Receive:
    """Receive and discard an unused request body.

    Raises:
        PayloadTooLargeError, InvalidRequestError, ClientLeftError: as read_body.
    """
    await _receive(scope, receive, _Body(max_bytes))
    return _Received(b"", receive)


async def read_command(scope: Scope, receive: Receive, max_bytes: int) -> Receive:
    """Receive the body of a POST off the hot path: a command, a count or a question.

    FastAPI takes NaN and repeated keys, and makes a 500 or a riddle of what it can't parse.
    Commands of the control API must be called JSON; the clients' APIs change nothing, and their
    documentation asks them without.

    Raises:
        PayloadTooLargeError, UnsupportedEncodingError, ClientLeftError: as read_body.
        InvalidRequestError: as read_body and as_utf8; or it isn't valid JSON, or isn't called so.
    """
    path: str = scope["path"]
    if path.startswith(_BLOBS):
        return await pass_over_body(scope, receive, max_bytes)
    if path.startswith(_CONTROL):
        _require_json(scope)
    if path in _PROMPTS or path.endswith(_COUNTS):
        return _Received(as_utf8(await read_body(scope, receive, max_bytes)), receive)
    what = _CONFIGURED if max_bytes <= MAX_COMMAND_BYTES else "the limit for commands"
    body = as_utf8(await read_body(scope, receive, min(max_bytes, MAX_COMMAND_BYTES), what))
    if body:
        check_json(body)
    return _Received(body, receive)


@dataclass(slots=True)
class _Body:
    """A body as it comes in."""

    max_bytes: int
    what: str = _CONFIGURED  # the limit's name, for people
    inflating: Inflater | ZstdInflater | None = None
    parts: list[bytes] | None = None  # None: only its size counts
    inflated_bytes: int = 0

    async def inflate(
        self, inflating: Inflater | ZstdInflater, data: bytes, parts: list[bytes]
    ) -> None:
        """Keep what a part of it holds."""
        for part in inflating.feed(data):
            self.inflated_bytes += len(part)
            if self.inflated_bytes > self.max_bytes:
                raise self.too_large()
            parts.append(part)
            await asyncio.sleep(0)  # inflating takes long enough to be felt by a stream

    def too_large(self) -> PayloadTooLargeError:
        """It passes the limit."""
        return PayloadTooLargeError(f"the body is larger than {self.what} ({self.max_bytes} bytes)")


class _Received:
    """ASGI's receive for a body that is all there; then whatever else comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _receive(scope: Scope, receive: Receive, body: _Body) -> None:
    for name, declared in scope["headers"]:
        if name == b"content-length":
            if declared.isdigit() and int(declared) > body.max_bytes:
                raise body.too_large()
            break
    received, parts, inflating = 0, body.parts, body.inflating
    deadline = scope.get(RECEIVE_BY)
    if deadline is None:  # the head came at once
        deadline = asyncio.get_running_loop().time() + RECEIPT_TIMEOUT_SECONDS
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeftError
                data = message.get("body", b"")
                received += len(data)
                if received > body.max_bytes:
                    raise body.too_large()
                if parts is not None and inflating is not None:
                    await body.inflate(inflating, data, parts)
                elif parts is not None:
                    parts.append(data)
                if not message.get("more_body", False):
                    return
    except TimeoutError as error:
        raise InvalidRequestError(
            f"the request did not arrive within {RECEIPT_TIMEOUT_SECONDS} s"
        ) from error


def _require_json(scope: Scope) -> None:
    """A web page can post a form without asking anybody, but not this content type."""
    kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidRequestError(
            "Content-Type: application/json is required here", param="Content-Type"
        )


def check_json(body: bytes) -> None:
    """Check JSON of a command, more strictly than parsers do.

    Raises:
        InvalidRequestError: not JSON, NaN or an infinity, a repeated key, or too many keys.
    """
    try:
        json.loads(
            body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_without_repeats
        )
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"the body is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise InvalidRequestError("the body is not valid JSON: nested too deep") from error
    except ValueError as error:
        raise InvalidRequestError(f"the body is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_repeats(pairs: list[tuple[str, object]]) -> None:
    if len(pairs) > MAX_COMMAND_KEYS:
        raise InvalidRequestError(f"an object has more than {MAX_COMMAND_KEYS} keys")
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidRequestError(f"duplicate key {json.dumps(key[:100])}", param=key[:100])
        seen.add(key)
