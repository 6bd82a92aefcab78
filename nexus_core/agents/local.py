"""Local inference servers: ollama, vllm, llamacpp, lmstudio, exo, generic, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_core.agents.openai import OpenAIAgent
from nexus_core.config import BackendConfig
from nexus_core.types import BackendType
from nexus_core.upstream.base import UpstreamEngine


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where one kind of local server differs from OpenAI."""

    models_path: str = "/v1/models"
    implied_tag: str | None = None  # a name that ends so may be asked for without it


LOCAL_SERVERS = {
    # Ollama lists "llama3:latest" and answers to "llama3" as well.
    # https://github.com/ollama/ollama/blob/main/docs/api.md#model-names
    BackendType.OLLAMA: LocalServer(implied_tag=":latest"),
    BackendType.VLLM: LocalServer(),
    BackendType.LLAMACPP: LocalServer(),
    BackendType.LMSTUDIO: LocalServer(),
    BackendType.EXO: LocalServer(),
    BackendType.GENERIC: LocalServer(),
}


class LocalAgent(OpenAIAgent):
    """A local server: OpenAI's API with the differences of its kind."""

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, *, connect_timeout_seconds: float
    ) -> None:
        super().__init__(backend, engine, connect_timeout_seconds=connect_timeout_seconds)
        self._server = LOCAL_SERVERS[backend.type]
        self.models_path = self._server.models_path

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
