"""Local inference servers and their differences: ollama, vllm, llamacpp, lmstudio, exo, generic."""

from __future__ import annotations

import json

import msgspec

from nexus_core.background import read_long
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.embeddings import check_embeddings_request, with_encoding
from nexus_core.dialects.inbound import dialect_named
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.request import Request
from nexus_core.errors import UnsupportedFieldsError
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import AnswerStream, Call, Response, read_whole
from nexus_core.providers.details import (
    Details,
    DetailsReader,
    read_exo_state,
    read_llamacpp_models,
    read_llamacpp_props,
    read_lmstudio_models,
    read_ollama_ps,
    read_ollama_show,
    read_vllm_models,
    with_lacks,
)
from nexus_core.providers.http import AgentSettings, Listing, NoListError
from nexus_core.providers.message_count import ask_count
from nexus_core.providers.model_list import Refusal
from nexus_core.providers.native import ask_within
from nexus_core.providers.openai import OpenAIAgent
from nexus_core.types import Capability, DialectName, Operation, ProbeResult, is_list, is_object
from nexus_core.upstream.base import MaySend, UpstreamEngine, UpstreamProtocolError


class DetailsSource(msgspec.Struct, frozen=True):
    """Differences of one kind of local server from OpenAI."""

    path: str
    read: DetailsReader
    read_list: DetailsReader | None = None  # of its model list, where the path tells nothing
    shows_each: bool = False  # what a model can do is asked for one by one, at /api/show


_DETAILS = {  # the others tell nothing
    BackendType.OLLAMA: DetailsSource("/api/ps", read_ollama_ps, shows_each=True),
    BackendType.VLLM: DetailsSource("/v1/models", read_vllm_models),
    BackendType.LLAMACPP: DetailsSource("/props", read_llamacpp_props, read_llamacpp_models),
    BackendType.LMSTUDIO: DetailsSource("/api/v1/models", read_lmstudio_models),
    BackendType.EXO: DetailsSource("/state", read_exo_state),
}

# llama.cpp lists its models to everybody, and wants its --api-key for all else: its own words, for
# what stands in front of a server may want another key for what only administrators need.
_IS_OF_KEY = b'"authentication_error"'
_SHOWN_AT_ONCE = 16
_APIS_SECONDS = 5.0  # for the questions which APIs a server speaks


class LocalAgent(OpenAIAgent):
    """A local server: OpenAI's API with the differences of its kind."""

    hub_target = HubTarget.LOCAL

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, settings: AgentSettings
    ) -> None:
        super().__init__(backend, engine, settings)
        self._details_source = _DETAILS.get(backend.type)
        self._lacks: dict[str, frozenset[Capability]] = {}  # by model, once it was shown
        self._shown: set[str] = set()

    def served_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Every name in the server's list, with the short forms it accepts."""
        tag = self._spec.implied_tag
        if tag is None:
            return names
        short = (name.removesuffix(tag) for name in names if name.endswith(tag))
        return tuple(dict.fromkeys((*names, *short)))

    async def ask_details(self, listing: Listing) -> Details | None:
        """Request details of models: loaded, context window, capabilities; None if unavailable.

        Raises:
            NoListError: what lists its models to everybody refuses the key.
            UpstreamError: there is no answer.
            ValueError: the answer is not JSON.
        """
        source, listed = self._details_source, listing.raw
        if source is None:
            return None
        if source.path != self.models_paths[0]:
            status, listed = await self.get_small(source.path)
            if status == 401 and _IS_OF_KEY in listed:
                why = f"{self._path_of(source.path)} answers 401"
                raise NoListError(why, status, Refusal.KEY)
            if status != 200:
                return None
        details = await read_long(lambda raw: source.read(parse_json(raw), listing.names), listed)
        if source.read_list is not None and not details:
            read_list = source.read_list
            return await read_long(
                lambda raw: read_list(parse_json(raw), listing.names), listing.raw
            )
        if not source.shows_each:
            return details
        await self._show_new(listing.names)
        return with_lacks(details, self._lacks)

    async def ask_apis(self) -> tuple[str, ...]:
        """The APIs that the server speaks itself; asked of it now and then."""
        await ask_within(_APIS_SECONDS, self._apis, self)
        return self._apis.names

    async def count_tokens(self, request: Request, model: str) -> int | None:
        """The server's own count of a Messages request, where it has one: llama.cpp and vLLM do.

        Raises:
            UpstreamError: there is no answer.
        """
        if request.dialect not in self.passes:
            return None
        body = dialect_named(request.dialect).write_passed(request, model)
        return await ask_count(self, body, request.headers)

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        """Check health; one that was away is asked anew for what it speaks."""
        result = await super().probe(timeout_seconds=timeout_seconds)
        if not result.ok:
            self._apis.was_away()
        return result

    async def _show_new(self, names: tuple[str, ...]) -> None:
        """Request capabilities of models not yet known; a few with each probe."""
        new = [name for name in names if name not in self._shown][:_SHOWN_AT_ONCE]
        for name in new:
            status, body = await self.post_small("/api/show", json.dumps({"model": name}).encode())
            self._shown.add(name)
            lacks = read_ollama_show(parse_json(body)) if status == 200 else None
            if lacks is not None:
                self._lacks[name] = lacks


class TextEmbeddingAgent(LocalAgent):
    """A local server whose embeddings take no tokens and know no base64."""

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        """The request as it came, but for the model's name.

        Raises:
            UnsupportedFieldsError: tokens are to be embedded, and the server only takes text.
        """
        is_chat_format = request.dialect is DialectName.OPENAI_CHAT
        if request.operation is Operation.EMBEDDINGS and is_chat_format:
            check_embeddings_request(request.parsed)
            if not _is_text(request.parsed["input"]):
                raise UnsupportedFieldsError(
                    {"input": f"{self._spec.title} accepts texts, not tokens"}
                )
        return super().prepare(request, model, wants_usage=wants_usage)

    async def send(self, call: Call, may_send: MaySend) -> Response:
        """Send it and wait for the answer's head.

        Raises:
            UpstreamError: there is no answer.
        """
        response = await super().send(call, may_send)
        is_embedding = call.request.operation is Operation.EMBEDDINGS
        as_base64 = call.request.parsed.get("encoding_format") == "base64"
        if is_embedding and as_base64 and response.status == 200:
            return ReencodedResponse(response, self._settings.max_response_bytes)
        return response


def _is_text(given: object) -> bool:
    return isinstance(given, str) or (
        is_list(given) and all(isinstance(item, str) for item in given)
    )


class ReencodedResponse:
    """A whole embeddings answer, converted from floats to base64."""

    stream: AnswerStream | None = None

    def __init__(self, response: Response, max_bytes: int) -> None:
        self.status = response.status
        self.headers = response.headers
        self.usage: TokenUsage | None = None
        self.close = response.close
        self._response = response
        self._max_bytes = max_bytes
        self._is_read = False

    def at_hand(self) -> bytes | None:
        """None: it is to be read."""
        return None

    async def read(self) -> bytes:
        """The body, once all of it is here; then empty.

        Raises:
            UpstreamProtocolError: it ended early, is too long, or not an embeddings answer.
        """
        if self._is_read:
            return b""
        body = await read_whole(self._response, self._max_bytes)
        self._is_read = True
        try:
            answer = parse_json(body)
            if not is_object(answer):
                raise ValueError("no object")
            return json.dumps(with_encoding(answer, "base64")).encode()
        except ValueError as error:
            raise UpstreamProtocolError(f"invalid embeddings answer: {error}") from error
