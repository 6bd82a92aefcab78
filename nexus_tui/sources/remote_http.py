"""HTTP client for an attached Nexus: bounded answers, failures as messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from nexus_core.errors import NexusError
from nexus_core.observe.event_json import UnreadableError
from nexus_core.types import is_object
from nexus_tui.sources.remote_calls import HttpCall
from nexus_tui.sources.remote_state import parse

_CONNECT_SECONDS = 5.0
_MAX_ANSWER_BYTES = 32 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_UNKNOWN_ROUTE = frozenset({"not_found", "method_not_allowed"})


class RemoteError(Exception):
    """The attached Nexus can't be used; the message says why."""


class UnknownCallError(RemoteError):
    """Unknown call: the server is not a Nexus, or one too old."""


class LinkLostError(NexusError):
    """The link is lost, or an answer is incompatible."""

    status = 503
    code = "link_lost"


class RefusedError(NexusError):
    """The attached Nexus refused a call, with its message."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RemoteHttp:
    """HTTP client for one attached Nexus."""

    def __init__(self, url: str, authorization: str | None, agent: str) -> None:
        """`agent` is the User-Agent."""
        headers = {"Accept-Encoding": "identity", "User-Agent": agent}
        if authorization is not None:
            headers["Authorization"] = authorization
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            trust_env=False,  # a proxy of the environment is for what lies outside
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def ask(self, call: HttpCall, seconds: float) -> dict[str, Any]:
        """The answer to a call: an object.

        Raises:
            RefusedError: the other Nexus says no.
            RemoteError: there is no answer within `seconds`, or none of a Nexus.
            UnreadableError: it is not JSON, or no object.
        """
        try:
            async with asyncio.timeout(seconds), self.opened(call, seconds) as answer:
                told = parse(await _whole(answer, _MAX_ANSWER_BYTES))
        except TimeoutError as error:
            raise RemoteError(f"no complete answer within {seconds:g} s") from error
        if not is_object(told):
            raise UnreadableError("an object is missing")
        return told

    @asynccontextmanager
    async def opened(self, call: HttpCall, seconds: float) -> AsyncGenerator[httpx.Response]:
        """A good answer's head, its body to be read; `seconds` is the longest silence.

        Raises:
            RefusedError, RemoteError: as `ask`.
        """
        timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        content = None if call.body is None else json.dumps(call.body).encode()
        headers = dict(call.headers)
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._client.stream(
                call.method, call.path, content=content, headers=headers, timeout=timeout
            ) as answer:
                await _check(answer)
                yield answer
        except httpx.ConnectError as error:
            raise RemoteError("no answer: nothing listens there") from error
        except httpx.TimeoutException as error:
            raise RemoteError(f"no data for {seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise RemoteError("connection lost") from error


async def _check(answer: httpx.Response) -> None:
    """Raise what another answer than a good one means.

    Raises:
        RefusedError: a Nexus says no.
        RemoteError: it is none, or does not know this call.
    """
    if answer.status_code == 200:
        return
    message, code = _problem(await _whole(answer, _MAX_ERROR_BYTES))
    if code is None or code in _UNKNOWN_ROUTE:
        raise UnknownCallError(f"not a Nexus, or one too old (status {answer.status_code})")
    raise RefusedError(message, answer.status_code, code)


def _problem(content: bytes) -> tuple[str, str | None]:
    """The message and code of an error; no code where it is none of a Nexus."""
    try:
        error = parse(content)["error"]
        return str(error["message"]), str(error["code"])
    except (UnreadableError, LookupError, TypeError):
        return "", None


async def _whole(answer: httpx.Response, limit: int) -> bytes:
    content = bytearray()
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) > limit:
            raise UnreadableError(f"the answer is over {limit} bytes")
    return bytes(content)
