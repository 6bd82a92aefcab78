"""Base of HTTP agents: requests with the backend's own key, and probes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from urllib.parse import urlencode, urlsplit

import msgspec

from nexus_core import __version__
from nexus_core.background import read_long
from nexus_core.config.base_url import read_base_url
from nexus_core.config.schema import BackendConfig
from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.request import MAX_MODEL_CHARS, Request
from nexus_core.dialects.sse import MEDIA_TYPE
from nexus_core.providers.auth.key_header import key_headers
from nexus_core.providers.base import KeyCutter
from nexus_core.providers.model_list import ListPage, Query, Refusal, parse_page, read_refusal
from nexus_core.types import DialectName, HealthCause, ModelDetails, ProbeResult
from nexus_core.upstream.base import (
    Headers,
    MaySend,
    UpstreamEngine,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamShortageError,
    always,
)
from nexus_core.upstream.decoding import decoded

_MAX_MODELS = 10_000
_MAX_SMALL_BYTES = 4 * 1024 * 1024
MAX_PAGES = 20  # of a list of models
NO_LIST = frozenset({404, 405, 501})  # a proxy in between passes requests on and lists nothing
_NOT_NOW = frozenset({408, 425, 429, 529})
# It says of itself that it serves nobody now (llama.cpp while it loads a model), or what stands in
# front says that it is not there. https://developers.cloudflare.com/support/troubleshooting/
_NOT_THERE = frozenset({502, 503, 504, *range(520, 528), 530})

_JSON_BODY = ("content-type", "application/json")
_WANTS_JSON = ("accept", "application/json")
_DEPLOYMENTS = "it lists base models, not deployments; the configured models are used"


class AgentSettings(msgspec.Struct, frozen=True):
    """Settings of agents, from the configuration."""

    connect_timeout_seconds: float = 5.0
    max_response_bytes: int = 32 * 1024 * 1024  # of an answer that is translated
    rejects_hints: bool = False  # a sampling hint that a model does not take is an error


class Listing(msgspec.Struct, frozen=True):
    """Model list of a backend."""

    names: tuple[str, ...]
    raw: bytes = b""  # its list as it came, where it was one answer


class NoListError(Exception):
    """The answer to the model list request is not a list."""

    def __init__(self, why: str, status: int, refusal: Refusal) -> None:
        super().__init__(why)
        self.status = status
        self.refusal = refusal


class HttpAgent:
    """Base of HTTP agents."""

    own_headers: Headers = ()  # beside the key's
    own_paths: Collection[str] = ()  # that most requests go to: their URLs are made once
    list_query: Query = ()  # of that question
    after_parameter = "after"  # asks for what follows the last entry of a page
    fallback_models: tuple[str, ...] = ()  # of a provider, where there is no list
    translates: bool = False  # requests are put into another form
    own_formats: Collection[DialectName] = frozenset()  # beside the hub's: they pass as they come
    hub_target = HubTarget.TRANSLATOR

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, settings: AgentSettings
    ) -> None:
        self.name = backend.name
        self.keys = KeyCutter(backend.api_key)
        self._spec = spec = backend.type.spec
        self.models_paths = spec.models_paths
        variable = backend.api_key_env
        self.auth_hint = (
            f"check {variable}" if variable else "the backend requires a key: set api_key_env"
        )
        self._base = read_base_url(backend.url, backend.type)
        self._urls = {path: self._base.of(path) for path in self.own_paths}
        self._proxy = backend.via
        self._has_models = backend.models is not None
        self._engine = engine
        self._settings = settings
        self.refuses_effort: set[str] = set()
        self._headers: Headers = (
            ("user-agent", f"nexus/{__version__}"),
            # Compressed answers could not be relayed, measured and bounded byte for byte.
            ("accept-encoding", "identity"),
        )
        if backend.api_key is not None:
            self._headers += key_headers(spec.auth, backend.api_key) + self.own_headers
        posted = (*self._headers, _JSON_BODY)
        self._headers_for_json: Headers = (*posted, _WANTS_JSON)
        self._headers_for_stream: Headers = (*posted, ("accept", MEDIA_TYPE))

    @property
    def passes(self) -> Collection[DialectName]:
        """Formats beside the hub's whose requests pass as they come."""
        return self.own_formats

    async def list_models(self) -> Listing:
        """Request the model list, page by page. Costs nothing.

        Raises:
            NoListError: the answer is not a list of models.
            UpstreamError: there is no answer.
        """
        first, *others = self.models_paths
        try:
            return await self._list_at(first)
        except NoListError as error:
            if error.status not in NO_LIST:
                raise
            for path in others:
                with suppress(NoListError):
                    return await self._list_at(path)
            raise

    async def _list_at(self, path: str) -> Listing:
        names: dict[str, None] = {}
        first, query, asked = b"", self.list_query, set[Query]()
        for number in range(MAX_PAGES):
            asked.add(query)
            status, body = await self._ask_list(path, query)
            try:
                page = await read_long(self.read_page, body) if status == 200 else None
            except ValueError as error:
                if not number:
                    why = f"{self._path_of(path)}: {error}"
                    raise NoListError(why, status, read_refusal(status, body)) from error
                break  # what was read so far is a list
            if page is None and not number:
                meaning = self.status_of(status, body)
                why = f"{self._path_of(path)} answers {meaning}"
                raise NoListError(why, meaning, read_refusal(meaning, body))
            first = first or body
            if page is None:
                break
            names |= dict.fromkeys(page.names)
            query = (*self.list_query, *page.next_query)
            if query in asked:  # the last page, or one that leads to itself
                break
        return Listing(self.served_names(usable_names(names)), first)

    async def _ask_list(self, path: str, query: Query) -> tuple[int, bytes]:
        try:
            return await self.get_small(f"{path}?{urlencode(query)}" if query else path)
        except ValueError as error:  # longer than any list
            raise NoListError(f"{self._path_of(path)}: {error}", 200, Refusal.NONE) from error

    def read_page(self, body: bytes) -> ListPage:
        """Read one page of a model list.

        Raises:
            ValueError: it is not a list of models.
        """
        return parse_page(body, after=self.after_parameter)

    def status_of(self, status: int, body: bytes) -> int:
        """Status of an error answer in its usual meaning; some providers use another one."""
        return status

    def served_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Every name accepted in requests for the listed models."""
        return names

    def _path_of(self, path: str) -> str:
        """The path in the request, after the base URL's own."""
        return urlsplit(self._base.of(path)).path

    async def ask_details(self, listing: Listing) -> Mapping[str, ModelDetails] | None:
        """Request details of models: loaded, context window, capabilities; None if unavailable.

        Raises:
            NoListError: what lists its models to everybody refuses the key.
            UpstreamError: there is no answer.
            ValueError: the answer is invalid.
        """
        return None

    async def ask_apis(self) -> tuple[str, ...] | None:
        """The APIs that the server speaks itself, by name; never raises. None: as configured."""
        return None

    async def count_tokens(self, request: Request, model: str) -> int | None:
        """The backend's own count of a prompt: most have none."""
        return None

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        """Check health and list the models; never costs money, never raises.

        A backend is healthy if it can be reached, reports itself ready and accepts the key. A
        model list is required only if no models are configured and the server has such a list.
        """
        started = time.monotonic()
        cause, detail, is_inconclusive = HealthCause.UNREACHABLE, None, False
        try:
            async with asyncio.timeout(timeout_seconds):
                listing = await self.list_models()
        except NoListError as error:
            return self._without_list(error, (time.monotonic() - started) * 1000)
        except TimeoutError:
            detail = f"no answer within {timeout_seconds:g} s"
        except UpstreamShortageError as error:
            detail, is_inconclusive = str(error), True
        except UpstreamError as error:
            detail = self.keys.cut_text(str(error))
        else:
            taken = time.monotonic() - started
            if self._spec.has_deployments:
                return ProbeResult(elapsed_ms=taken * 1000, detail=_DEPLOYMENTS)
            try:
                details = await self._details(listing, timeout_seconds - taken)
            except NoListError as error:
                return self._without_list(error, taken * 1000)
            return ProbeResult(elapsed_ms=taken * 1000, models=listing.names, details=details)
        elapsed_ms = (time.monotonic() - started) * 1000
        return ProbeResult(
            elapsed_ms=elapsed_ms, cause=cause, detail=detail, is_inconclusive=is_inconclusive
        )

    def _without_list(self, error: NoListError, elapsed_ms: float) -> ProbeResult:
        """Health of a backend whose answer is not a model list."""
        status, why = error.status, self.keys.cut_text(str(error))
        if error.refusal is Refusal.KEY:
            detail = f"{status}: {self.auth_hint}"
            return ProbeResult(elapsed_ms=elapsed_ms, cause=HealthCause.AUTH, detail=detail)
        if error.refusal is Refusal.LISTING:
            why = f"the key may not list models ({status})"
        if status in _NOT_THERE:
            return ProbeResult(elapsed_ms=elapsed_ms, cause=HealthCause.UNREACHABLE, detail=why)
        if self._has_models:
            detail = f"{why}; using the configured models"
            return ProbeResult(elapsed_ms=elapsed_ms, detail=detail)
        is_refusal = error.refusal is Refusal.LISTING or 400 <= status < 500
        if self.fallback_models and status in NO_LIST:
            return ProbeResult(elapsed_ms=elapsed_ms, models=self.fallback_models)
        if status in _NOT_NOW:
            return ProbeResult(
                elapsed_ms=elapsed_ms, detail=f"{why}; models are requested again at the next probe"
            )
        if is_refusal or status in NO_LIST:
            detail = f'{why}; no known models: set models = ["…"], or correct its url'
            return ProbeResult(elapsed_ms=elapsed_ms, detail=detail, never_lists=True)
        return ProbeResult(elapsed_ms=elapsed_ms, cause=HealthCause.UNREACHABLE, detail=why)

    async def _details(self, listing: Listing, seconds: float) -> Mapping[str, ModelDetails] | None:
        """Request details within a time limit; a failure here does not change the health.

        Raises:
            NoListError: what lists its models to everybody refuses the key.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self.ask_details(listing)
        except (TimeoutError, UpstreamError, ValueError):
            return None

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        is_streaming: bool = False,
        may_send: MaySend = always,
        more: Headers = (),
    ) -> UpstreamResponse:
        """Send a POST request and wait for the answer's head.

        Args:
            is_streaming: accept an event stream, else JSON.
            more: headers of the client's format, in place of own ones of the same names.

        Raises:
            UpstreamError: there is no answer.
        """
        headers = self._headers_for_stream if is_streaming else self._headers_for_json
        if more:
            given = {name for name, _ in more}
            headers = (*(pair for pair in headers if pair[0] not in given), *more)
        url = self._urls.get(path) or self._base.of(path)
        request = UpstreamRequest("POST", url, headers, body, self._proxy, may_send)
        timeout = self._settings.connect_timeout_seconds
        response = await self._engine.send(request, connect_timeout_seconds=timeout)
        return decoded(response, self._settings.max_response_bytes)

    async def get_small(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET request with a small answer."""
        headers = (*self._headers, _WANTS_JSON)
        request = UpstreamRequest("GET", self._base.of(path), headers, proxy=self._proxy)
        timeout = self._settings.connect_timeout_seconds
        answer = await self._engine.send(request, connect_timeout_seconds=timeout)
        return await read_small(decoded(answer, self._settings.max_response_bytes))

    async def post_small(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of a POST request with a small answer."""
        return await read_small(await self.post(path, body))


async def read_small(
    response: UpstreamResponse, max_bytes: int = _MAX_SMALL_BYTES
) -> tuple[int, bytes]:
    """Read status and whole body; closes the response.

    Raises:
        UpstreamError: it ended early.
        ValueError: it is longer than it should be.
    """
    try:
        body = bytearray()
        while piece := await response.read():
            body += piece
            if len(body) > max_bytes:
                raise ValueError(f"answer over {max_bytes} bytes")
        return response.status, bytes(body)
    finally:
        await response.close()


def usable_names(names: Iterable[object]) -> tuple[str, ...]:
    """Valid model names, each once; the beginning of an oversized list."""
    few = islice(names, _MAX_MODELS)
    usable = (n for n in few if isinstance(n, str) and 0 < len(n) <= MAX_MODEL_CHARS)
    return tuple(dict.fromkeys(usable))
