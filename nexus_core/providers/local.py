"""Local inference servers: ollama, vllm, llamacpp, lmstudio, exo, generic, and how they differ."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from nexus_core.config.schema import BackendConfig
from nexus_core.dialects.embeddings import check_embeddings_request, with_encoding
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.request import Request
from nexus_core.errors import UnsupportedFieldsError
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import Call, Response, read_whole
from nexus_core.providers.details import (
    Details,
    DetailsReader,
    read_llamacpp_props,
    read_lmstudio_models,
    read_ollama_ps,
    read_ollama_show,
    read_vllm_models,
    with_lacks,
)
from nexus_core.providers.http import AgentSettings, Listing
from nexus_core.providers.openai import OpenAIAgent
from nexus_core.types import BackendType, Capability, Operation, is_list, is_object
from nexus_core.upstream.base import MaySend, UpstreamEngine, UpstreamProtocolError


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where one kind of local server differs from OpenAI."""

    models_paths: tuple[str, ...] = ("/v1/models",)  # the first that is there
    implied_tag: str | None = None  # a name that ends so may be asked for without it
    details_path: str | None = None  # where it tells what is in memory
    read_details: DetailsReader | None = None
    label: str = "this server"  # for people
    embeds_text_as_floats: bool = False  # its embeddings take no tokens and know no base64
    shows_each: bool = False  # what a model can do is asked for one by one, at /api/show


LOCAL_SERVERS = {
    # Ollama lists "llama3:latest" and answers to "llama3" as well.
    # https://github.com/ollama/ollama/blob/main/docs/api.md#model-names
    BackendType.OLLAMA: LocalServer(
        implied_tag=":latest",
        details_path="/api/ps",
        read_details=read_ollama_ps,
        models_paths=("/v1/models", "/api/tags"),  # the latter before Ollama 0.1.24
        shows_each=True,
        label="Ollama",
        embeds_text_as_floats=True,
    ),
    BackendType.VLLM: LocalServer(details_path="/v1/models", read_details=read_vllm_models),
    BackendType.LLAMACPP: LocalServer(details_path="/props", read_details=read_llamacpp_props),
    BackendType.LMSTUDIO: LocalServer(
        models_paths=("/v1/models", "/api/v1/models"),
        details_path="/api/v1/models",
        read_details=read_lmstudio_models,
    ),
    BackendType.EXO: LocalServer(),
    # Text Generation Inference tells its one model at /info.
    # https://huggingface.co/docs/text-generation-inference/reference/api_reference
    BackendType.GENERIC: LocalServer(models_paths=("/v1/models", "/info")),
}


_SHOWN_AT_ONCE = 16


class LocalAgent(OpenAIAgent):
    """A local server: OpenAI's API with the differences of its kind."""

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, settings: AgentSettings
    ) -> None:
        super().__init__(backend, engine, settings)
        self._server = LOCAL_SERVERS[backend.type]
        self.models_paths = self._server.models_paths
        self._lacks: dict[str, frozenset[Capability]] = {}  # by model, once it was shown
        self._shown: set[str] = set()

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        """The request as it came, but for the model's name.

        Raises:
            UnsupportedFieldsError: tokens are to be embedded, and the server only takes text.
        """
        if request.operation is Operation.EMBEDDINGS and self._server.embeds_text_as_floats:
            check_embeddings_request(request.parsed)
            if not _is_text(request.parsed["input"]):
                raise UnsupportedFieldsError(
                    {"input": f"{self._server.label} accepts texts, not tokens"}
                )
        return super().prepare(request, model, wants_usage=wants_usage)

    async def send(self, call: Call, may_send: MaySend) -> Response:
        """Send it and wait for the answer's head.

        Raises:
            UpstreamError: there is no answer.
        """
        response = await super().send(call, may_send)
        as_base64 = call.request.parsed.get("encoding_format") == "base64"
        is_limited = (
            call.request.operation is Operation.EMBEDDINGS and self._server.embeds_text_as_floats
        )
        if is_limited and as_base64 and response.status == 200:
            return ReencodedResponse(response, self._settings.max_response_bytes)
        return response

    def served_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the server's list, with the short forms it answers to."""
        tag = self._server.implied_tag
        if tag is None:
            return names
        short = (name.removesuffix(tag) for name in names if name.endswith(tag))
        return tuple(dict.fromkeys((*names, *short)))

    async def ask_details(self, listing: Listing) -> Details | None:
        """What the server tells of these models beyond their names; None where it tells nothing.

        Raises:
            UpstreamError: it does not answer.
            ValueError: it answers with something else than JSON.
        """
        server, listed = self._server, listing.raw
        if server.read_details is None or server.details_path is None:
            return None
        if server.details_path != self.models_paths[0]:
            status, listed = await self.get_small(server.details_path)
            if status != 200:
                return None
        details = server.read_details(parse_json(listed), listing.names)
        if not server.shows_each:
            return details
        await self._show_new(listing.names)
        return with_lacks(details, self._lacks)

    async def _show_new(self, names: tuple[str, ...]) -> None:
        """Ask what models can do that were not asked about yet; a few with each probe."""
        new = [name for name in names if name not in self._shown][:_SHOWN_AT_ONCE]
        for name in new:
            status, body = await self.post_small("/api/show", json.dumps({"model": name}).encode())
            self._shown.add(name)
            lacks = read_ollama_show(parse_json(body)) if status == 200 else None
            if lacks is not None:
                self._lacks[name] = lacks


def _is_text(given: object) -> bool:
    return isinstance(given, str) or (
        is_list(given) and all(isinstance(item, str) for item in given)
    )


class ReencodedResponse:
    """A whole embeddings answer of floats, given out as base64."""

    def __init__(self, response: Response, max_bytes: int) -> None:
        self.status = response.status
        self.headers = response.headers
        self.usage: TokenUsage | None = None
        self.close = response.close
        self._response = response
        self._max_bytes = max_bytes

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The body, once all of it is here.

        Raises:
            UpstreamProtocolError: it ended early, is too long, or no embeddings answer.
        """
        body = await read_whole(self._response, self._max_bytes)
        try:
            answer = parse_json(body)
            if not is_object(answer):
                raise ValueError("no object")
            yield json.dumps(with_encoding(answer, "base64")).encode()
        except ValueError as error:
            raise UpstreamProtocolError(f"invalid embeddings answer: {error}") from error
