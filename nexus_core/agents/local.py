"""Local inference servers: ollama, vllm, llamacpp, lmstudio, exo, generic, and how they differ."""

from __future__ import annotations

import json
from dataclasses import dataclass

from nexus_core.agents.details import (
    Details,
    DetailsReader,
    read_llamacpp_props,
    read_lmstudio_models,
    read_ollama_ps,
    read_ollama_show,
    read_vllm_models,
    with_lacks,
)
from nexus_core.agents.openai import OpenAIAgent
from nexus_core.config import BackendConfig
from nexus_core.translation.openai import parse_json
from nexus_core.types import BackendType, Capability
from nexus_core.upstream.base import UpstreamEngine


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where one kind of local server differs from OpenAI."""

    models_path: str = "/v1/models"
    implied_tag: str | None = None  # a name that ends so may be asked for without it
    details_path: str | None = None  # where it tells what is in memory
    read_details: DetailsReader | None = None
    shows_each: bool = False  # what a model can do is asked for one by one, at /api/show


LOCAL_SERVERS = {
    # Ollama lists "llama3:latest" and answers to "llama3" as well.
    # https://github.com/ollama/ollama/blob/main/docs/api.md#model-names
    BackendType.OLLAMA: LocalServer(
        implied_tag=":latest",
        details_path="/api/ps",
        read_details=read_ollama_ps,
        shows_each=True,
    ),
    BackendType.VLLM: LocalServer(details_path="/v1/models", read_details=read_vllm_models),
    BackendType.LLAMACPP: LocalServer(details_path="/props", read_details=read_llamacpp_props),
    BackendType.LMSTUDIO: LocalServer(
        details_path="/api/v1/models", read_details=read_lmstudio_models
    ),
    BackendType.EXO: LocalServer(),
    BackendType.GENERIC: LocalServer(),
}


_SHOWN_AT_ONCE = 16


class LocalAgent(OpenAIAgent):
    """A local server: OpenAI's API with the differences of its kind."""

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, *, connect_timeout_seconds: float
    ) -> None:
        super().__init__(backend, engine, connect_timeout_seconds=connect_timeout_seconds)
        self._server = LOCAL_SERVERS[backend.type]
        self.models_path = self._server.models_path
        self._lacks: dict[str, frozenset[Capability]] = {}  # by model, once it was shown
        self._shown: set[str] = set()

    def read_models(self, body: bytes) -> tuple[str, ...]:
        """The names in the server's list, with the short forms it answers to.

        Raises:
            ValueError: it is not a list of models.
        """
        names = super().read_models(body)
        tag = self._server.implied_tag
        if tag is None:
            return names
        short = (name.removesuffix(tag) for name in names if name.endswith(tag))
        return tuple(dict.fromkeys((*names, *short)))

    async def ask_details(self, names: tuple[str, ...], listed: bytes) -> Details | None:
        """What the server tells of these models beyond their names; None where it tells nothing.

        Raises:
            UpstreamError: it does not answer.
            ValueError: it answers with something else than JSON.
        """
        server = self._server
        if server.read_details is None or server.details_path is None:
            return None
        if server.details_path != self.models_path:
            status, listed = await self._get(server.details_path)
            if status != 200:
                return None
        details = server.read_details(parse_json(listed), names)
        if not server.shows_each:
            return details
        await self._show_new(names)
        return with_lacks(details, self._lacks)

    async def _show_new(self, names: tuple[str, ...]) -> None:
        """Ask what models can do that were not asked about yet; a few with each probe."""
        new = [name for name in names if name not in self._shown][:_SHOWN_AT_ONCE]
        for name in new:
            status, body = await self._post("/api/show", json.dumps({"model": name}).encode())
            self._shown.add(name)
            lacks = read_ollama_show(parse_json(body)) if status == 200 else None
            if lacks is not None:
                self._lacks[name] = lacks
