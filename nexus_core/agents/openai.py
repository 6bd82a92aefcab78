"""OpenAI and every server that speaks its API: relay bytes, list models, check health."""

from __future__ import annotations

import asyncio
import time

from nexus_core import __version__
from nexus_core.agents.base import Call, KeyCutter, Response
from nexus_core.agents.details import Details
from nexus_core.config import BackendConfig
from nexus_core.events import TokenUsage
from nexus_core.registry import ProbeResult
from nexus_core.translation.openai import MAX_MODEL_CHARS, OpenAIRequest, parse_json
from nexus_core.types import Endpoint, HealthCause
from nexus_core.upstream.base import (
    Headers,
    UpstreamEngine,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
)

_MAX_LIST_BYTES = 4 * 1024 * 1024
_MAX_MODELS = 10_000


class PlainResponse:
    """An answer that is passed on as it comes; what it tells of its usage stands in its body."""

    def __init__(self, response: UpstreamResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.usage: TokenUsage | None = None
        self.chunks = response.chunks
        self.close = response.close


class OpenAIAgent:
    """A backend that speaks OpenAI's API; requests pass to it as they are."""

    models_path = "/v1/models"

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, *, connect_timeout_seconds: float
    ) -> None:
        self.name = backend.name
        self.keys = KeyCutter(backend.api_key)
        variable = backend.api_key_env
        self.auth_hint = f"check {variable}" if variable else "it wants a key: set api_key_env"
        self._root = backend.url
        self._engine = engine
        self._connect_timeout_seconds = connect_timeout_seconds
        self._headers: Headers = (
            ("user-agent", f"nexus/{__version__}"),
            # Compressed answers could not be relayed, measured and bounded byte for byte.
            ("accept-encoding", "identity"),
        )
        if backend.api_key is not None:
            self._headers += (("authorization", f"Bearer {backend.api_key}"),)

    def prepare(self, endpoint: Endpoint, request: OpenAIRequest, model: str) -> Call:
        """The request as it came, but for the model's name."""
        return Call(
            endpoint=endpoint,
            path=endpoint.value,
            body=request.body_for(model),
            is_streaming=request.is_streaming,
            model=model,
        )

    async def send(self, call: Call) -> Response:
        """Send it and wait for the answer's head.

        Raises:
            UpstreamError: there is no answer.
        """
        accept = "text/event-stream" if call.is_streaming else "application/json"
        request = UpstreamRequest(
            "POST",
            self._root + call.path,
            (*self._headers, ("content-type", "application/json"), ("accept", accept)),
            call.body,
        )
        response = await self._engine.send(
            request, connect_timeout_seconds=self._connect_timeout_seconds
        )
        return PlainResponse(response)

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        """List the models: never a call that costs money, never an exception."""
        started = time.monotonic()
        cause, detail = HealthCause.UNREACHABLE, None
        try:
            async with asyncio.timeout(timeout_seconds):
                status, body = await self._get(self.models_path)
            if status in (401, 403):
                cause, detail = HealthCause.AUTH, f"{status}: {self.auth_hint}"
            elif status != 200:
                detail = f"{self.models_path} answers {status}"
            else:
                models = self.read_models(body)
                elapsed_ms = (time.monotonic() - started) * 1000
                details = await self._details(models, body, timeout_seconds - elapsed_ms / 1000)
                return ProbeResult(elapsed_ms=elapsed_ms, models=models, details=details)
        except TimeoutError:
            detail = f"no answer within {timeout_seconds:g} s"
        except UpstreamError as error:
            detail = self.keys.cut_text(str(error))
        except ValueError as error:
            detail = f"{self.models_path}: {error}"
        elapsed_ms = (time.monotonic() - started) * 1000
        return ProbeResult(elapsed_ms=elapsed_ms, cause=cause, detail=detail)

    async def ask_details(self, names: tuple[str, ...], listed: bytes) -> Details | None:
        """What the server tells of these models beyond their names; None where it tells nothing.

        Args:
            listed: its list of models as it came.
        """
        return None

    async def _details(
        self, names: tuple[str, ...], listed: bytes, seconds: float
    ) -> Details | None:
        """The same, within a time; a server that fails here is as healthy as before."""
        try:
            async with asyncio.timeout(seconds):
                return await self.ask_details(names, listed)
        except (TimeoutError, UpstreamError, ValueError):
            return None

    def read_models(self, body: bytes) -> tuple[str, ...]:
        """The names in an answer of GET /v1/models.

        Raises:
            ValueError: it is not a list of models.
        """
        answer = parse_json(body)
        listed = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(listed, list):
            raise ValueError("the answer is not a list of models")
        names = (entry.get("id") for entry in listed[:_MAX_MODELS] if isinstance(entry, dict))
        usable = (n for n in names if isinstance(n, str) and 0 < len(n) <= MAX_MODEL_CHARS)
        return tuple(dict.fromkeys(usable))

    async def _get(self, path: str) -> tuple[int, bytes]:
        headers = (*self._headers, ("accept", "application/json"))
        return await self._ask(UpstreamRequest("GET", self._root + path, headers))

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        kind = ("content-type", "application/json")
        headers = (*self._headers, kind, ("accept", "application/json"))
        return await self._ask(UpstreamRequest("POST", self._root + path, headers, body))

    async def _ask(self, request: UpstreamRequest) -> tuple[int, bytes]:
        """Status and body of an answer that is small by its nature."""
        response = await self._engine.send(
            request, connect_timeout_seconds=self._connect_timeout_seconds
        )
        try:
            body = bytearray()
            async for chunk in response.chunks():
                body += chunk
                if len(body) > _MAX_LIST_BYTES:
                    raise ValueError(f"the answer is over {_MAX_LIST_BYTES} bytes")
            return response.status, bytes(body)
        finally:
            await response.close()
