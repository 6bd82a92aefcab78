"""What agents share that speak HTTP: requests with the backend's own key, and probes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from nexus_core import __version__
from nexus_core.agents.base import KeyCutter
from nexus_core.config import BackendConfig
from nexus_core.registry import ModelDetails, ProbeResult
from nexus_core.translation.openai import MAX_MODEL_CHARS, JsonObject, parse_json
from nexus_core.types import HealthCause
from nexus_core.upstream.base import (
    Headers,
    UpstreamEngine,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamShortageError,
)

_MAX_MODELS = 10_000
_MAX_SMALL_BYTES = 4 * 1024 * 1024
MAX_PAGES = 20  # of a list of models
NO_LIST = frozenset({404, 405, 501})  # a proxy in between passes requests on and lists nothing
_REFUSED_KEY = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What the configuration says of how backends are talked to."""

    connect_timeout_seconds: float = 5.0
    max_response_bytes: int = 32 * 1024 * 1024  # of an answer that is translated
    rejects_hints: bool = False  # a sampling hint that a model does not take is an error


@dataclass(frozen=True, slots=True)
class Listing:
    """The models a backend has."""

    names: tuple[str, ...]
    raw: bytes = b""  # its list as it came, where it was one answer


class ListingRefusedError(Exception):
    """A backend answered the question for its models with an error status."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{path} answers {status}")
        self.status = status


class HttpAgent:
    """The part of an agent that is the same for every provider."""

    models_path = "/v1/models"  # where the backend lists its models

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, settings: AgentSettings
    ) -> None:
        self.name = backend.name
        self.keys = KeyCutter(backend.api_key)
        variable = backend.api_key_env
        self.auth_hint = f"check {variable}" if variable else "it wants a key: set api_key_env"
        self._root = backend.url
        self._engine = engine
        self._settings = settings
        self._headers: Headers = (
            ("user-agent", f"nexus/{__version__}"),
            # Compressed answers could not be relayed, measured and bounded byte for byte.
            ("accept-encoding", "identity"),
        )
        if backend.api_key is not None:
            self._headers += self.key_headers(backend.api_key)

    def key_headers(self, key: str) -> Headers:
        """How the backend is told its key: in headers, never in the URL."""
        return (("authorization", f"Bearer {key}"),)

    async def list_models(self) -> Listing:
        """The models the backend tells of. Costs nothing.

        Raises:
            ListingRefusedError: it answers with an error status.
            UpstreamError: it does not answer.
            ValueError: it answers with something else than a list of models.
        """
        raise NotImplementedError

    async def ask_details(self, listing: Listing) -> Mapping[str, ModelDetails] | None:
        """What the server tells of these models beyond their names; None where it tells nothing.

        Raises:
            UpstreamError: it does not answer.
            ValueError: it answers with something that makes no sense.
        """
        return None

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        """List the models: never a call that costs money, never an exception."""
        started = time.monotonic()
        cause, detail, is_inconclusive = HealthCause.UNREACHABLE, None, False
        try:
            async with asyncio.timeout(timeout_seconds):
                listing = await self.list_models()
        except ListingRefusedError as error:
            detail = str(error)
            if error.status in _REFUSED_KEY:
                cause, detail = HealthCause.AUTH, f"{error.status}: {self.auth_hint}"
        except TimeoutError:
            detail = f"no answer within {timeout_seconds:g} s"
        except UpstreamShortageError as error:
            detail, is_inconclusive = str(error), True
        except UpstreamError as error:
            detail = self.keys.cut_text(str(error))
        except ValueError as error:
            detail = f"{self.models_path}: {error}"
        else:
            taken = time.monotonic() - started
            details = await self._details(listing, timeout_seconds - taken)
            return ProbeResult(elapsed_ms=taken * 1000, models=listing.names, details=details)
        elapsed_ms = (time.monotonic() - started) * 1000
        return ProbeResult(
            elapsed_ms=elapsed_ms, cause=cause, detail=detail, is_inconclusive=is_inconclusive
        )

    async def _details(self, listing: Listing, seconds: float) -> Mapping[str, ModelDetails] | None:
        """The same within a time; a server that fails here is as healthy as before."""
        try:
            async with asyncio.timeout(seconds):
                return await self.ask_details(listing)
        except (TimeoutError, UpstreamError, ValueError):
            return None

    async def post(self, path: str, body: bytes, *, accept: str) -> UpstreamResponse:
        """Send a request and wait for the answer's head.

        Raises:
            UpstreamError: there is no answer.
        """
        headers = (*self._headers, ("content-type", "application/json"), ("accept", accept))
        return await self._send(UpstreamRequest("POST", self._root + path, headers, body))

    async def get_small(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer that is small by its nature."""
        headers = (*self._headers, ("accept", "application/json"))
        return await read_small(
            await self._send(UpstreamRequest("GET", self._root + path, headers))
        )

    async def post_small(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The same for a question that has a body."""
        return await read_small(await self.post(path, body, accept="application/json"))

    async def _send(self, request: UpstreamRequest) -> UpstreamResponse:
        return await self._engine.send(
            request, connect_timeout_seconds=self._settings.connect_timeout_seconds
        )


async def read_small(
    response: UpstreamResponse, max_bytes: int = _MAX_SMALL_BYTES
) -> tuple[int, bytes]:
    """Status and whole body; closes the response.

    Raises:
        UpstreamError: it ended early.
        ValueError: it is longer than it should be.
    """
    try:
        body = bytearray()
        async for chunk in response.chunks():
            body += chunk
            if len(body) > max_bytes:
                raise ValueError(f"the answer is over {max_bytes} bytes")
        return response.status, bytes(body)
    finally:
        await response.close()


def usable_names(names: Iterable[object]) -> tuple[str, ...]:
    """What may be the name of a model, each once; of a list beyond all measure the beginning."""
    few = islice(names, _MAX_MODELS)
    usable = (n for n in few if isinstance(n, str) and 0 < len(n) <= MAX_MODEL_CHARS)
    return tuple(dict.fromkeys(usable))


def parse_object(body: bytes) -> JsonObject:
    """A JSON object from outside.

    Raises:
        ValueError: it is none.
    """
    answer = parse_json(body)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no object")
    return answer
