"""The backends of the fixed fleet."""

from __future__ import annotations

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, UnusableBackend
from nexus_core.types import PrivacyZone

R, O = PrivacyZone.RESTRICTED, PrivacyZone.OPEN  # noqa: E741


def backend(
    name: str,
    kind: BackendType,
    zone: PrivacyZone,
    tier: int,
    *models: str,
    limit: int | None = None,
    url: str = "http://127.0.0.1:11434",
) -> BackendConfig:
    return BackendConfig(
        name=name,
        url=url,
        type=kind,
        zone=zone,
        tier=tier,
        max_concurrent=limit,
        models={model: model for model in models},
    )


BACKENDS = (
    backend("local-llama", BackendType.OLLAMA, R, 3, "llama3:70b", "qwen2.5:7b", limit=4),
    backend("vllm-a", BackendType.VLLM, R, 3, "llama3:70b", limit=16, url="http://10.0.0.12:8000"),
    backend(
        "lmstudio", BackendType.LMSTUDIO, R, 2, "qwen2.5:7b", limit=2, url="http://127.0.0.1:1234"
    ),
    backend("openai", BackendType.OPENAI, O, 4, "gpt-4o", url="https://api.openai.com"),
    backend("other-cloud", BackendType.OPENAI, O, 4, "o-large", url="https://llm.example"),
    backend("exo-lab", BackendType.EXO, R, 1, "llama3:8b", url="http://10.0.0.40:52415"),
)
UNUSABLE = UnusableBackend(
    name="openai-eu", type=BackendType.OPENAI, zone=O, why="OPENAI_EU_API_KEY is not set"
)
SERVES = {one.name: one for one in BACKENDS}
