"""Take in a request's body: bounded in size, time and memory, the same on every path."""

from __future__ import annotations

import asyncio
import json

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
from nexus_core.errors import InvalidRequestError, PayloadTooLargeError

MAX_COMMAND_BYTES = 1024 * 1024  # parsed, JSON may take many times its length in memory
MAX_COMMAND_KEYS = 100  # of one object; FastAPI makes an error of each that it does not know

_CONFIGURED = "max_body_bytes"
_PROMPTS = frozenset({"/nexus/explain", "/nexus/send"})  # as long as those of the data plane


async def read_body(
    scope: Scope, receive: Receive, max_bytes: int, what: str = _CONFIGURED
) -> bytes:
    """The whole request body, inflated where it is compressed, without a byte order mark.

    Args:
        what: the limit's name, for people.

    Raises:
        PayloadTooLargeError: at the declared length, or as soon as the limit is passed; it holds
            for what comes in and for what that inflates to.
        UnsupportedEncodingError: it is compressed in a way that is not read here.
        InvalidRequestError: it did not come within RECEIPT_TIMEOUT_SECONDS, is not what its
            Content-Encoding says, or begins like no UTF-8.
        ClientLeftError: the client left before it was whole.
    """
    kept = _Kept(max_bytes, inflater(scope), what)
    await _receive(scope, receive, kept)
    return as_utf8(kept.whole())


async def pass_over_body(scope: Scope, receive: Receive, max_bytes: int) -> Receive:
    """Receive a body that nobody reads, and throw it away as it comes.

    Raises:
        PayloadTooLargeError, InvalidRequestError, ClientLeftError: as read_body.
    """
    await _receive(scope, receive, _Counted(max_bytes))
    return _Received(b"", receive)


async def read_command(scope: Scope, receive: Receive, max_bytes: int) -> Receive:
    """Receive the body of a POST that FastAPI will parse: a command of the control API.

    FastAPI takes NaN and repeated keys, and makes a 500 or a riddle of what it can't parse.

    Raises:
        PayloadTooLargeError, UnsupportedEncodingError, ClientLeftError: as read_body.
        InvalidRequestError: as read_body; or it isn't valid JSON, or isn't called so.
    """
    _require_json(scope)
    if scope["path"] in _PROMPTS:
        return _Received(await read_body(scope, receive, max_bytes), receive)
    what = _CONFIGURED if max_bytes <= MAX_COMMAND_BYTES else "the limit for commands"
    body = await read_body(scope, receive, min(max_bytes, MAX_COMMAND_BYTES), what)
    if body:
        _check_json(body)
    return _Received(body, receive)


class _Counted:
    """A body of which only the size counts."""

    def __init__(self, max_bytes: int, what: str = _CONFIGURED) -> None:
        self.max_bytes = max_bytes
        self._what = what
        self._received = 0

    async def take(self, data: bytes) -> None:
        """Count another part."""
        self._received += len(data)
        if self._received > self.max_bytes:
            raise self.too_large()

    def too_large(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(
            f"the body is larger than {self._what} ({self.max_bytes} bytes)"
        )


class _Kept(_Counted):
    """A body as it is to be read."""

    def __init__(self, max_bytes: int, inflating: Inflater | None, what: str) -> None:
        super().__init__(max_bytes, what)
        self._inflating = inflating
        self._parts: list[bytes] = []
        self._size = 0

    async def take(self, data: bytes) -> None:
        """Keep another part."""
        await super().take(data)
        if self._inflating is None:
            self._parts.append(data)
            return
        for part in self._inflating.feed(data):
            self._size += len(part)
            if self._size > self.max_bytes:
                raise self.too_large()
            self._parts.append(part)
            await asyncio.sleep(0)  # inflating takes long enough to be felt by a stream

    def whole(self) -> bytes:
        """All of it, once nothing more comes."""
        if self._inflating is not None:
            self._inflating.finish()
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


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


async def _receive(scope: Scope, receive: Receive, taken: _Counted) -> None:
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdecimal() and int(declared) > taken.max_bytes:
        raise taken.too_large()
    deadline = scope.get(RECEIVE_BY)
    if deadline is None:  # the head came at once
        deadline = asyncio.get_running_loop().time() + RECEIPT_TIMEOUT_SECONDS
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeftError
                await taken.take(message.get("body", b""))
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


def _check_json(body: bytes) -> None:
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
