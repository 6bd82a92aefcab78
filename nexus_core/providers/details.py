"""Model details of local servers: loaded models, context windows, capabilities.

Pure readers of the servers' own answers; unexpected values are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from msgspec.structs import replace

from nexus_core.types import Capability, ModelDetails, is_list, is_object

Details: TypeAlias = dict[str, ModelDetails]
DetailsReader: TypeAlias = Callable[[object, tuple[str, ...]], Details]

_FOR_EMBEDDING_ONLY = frozenset(
    {Capability.CHAT, Capability.COMPLETIONS, Capability.TOOLS, Capability.VISION, Capability.JSON}
)

# Ollama's words. https://docs.ollama.com/api-reference/show-model-details
_OLLAMA_WORDS = {
    "completion": Capability.CHAT,
    "vision": Capability.VISION,
    "tools": Capability.TOOLS,
    "embedding": Capability.EMBEDDINGS,
}


def read_ollama_ps(answer: object, names: tuple[str, ...]) -> Details:
    """Read Ollama's GET /api/ps: the models in memory.

    https://docs.ollama.com/api/ps
    """
    loaded = {str(entry.get("name")): entry for entry in _entries(answer, "models")}
    details: Details = {}
    for name in names:
        entry = loaded.get(name) or loaded.get(f"{name}:latest")
        window = _count(entry, "context_length") if entry else None
        details[name] = ModelDetails(is_loaded=entry is not None, context_tokens=window)
    return details


def read_ollama_show(answer: object) -> frozenset[Capability] | None:
    """Read the missing capabilities from POST /api/show; None for an old server without them."""
    listed = answer.get("capabilities") if is_object(answer) else None
    if not is_list(listed) or not listed:
        return None
    lacks = {what for word, what in _OLLAMA_WORDS.items() if word not in listed}
    if Capability.CHAT in lacks:
        lacks |= _FOR_EMBEDDING_ONLY
    return frozenset(lacks)


def read_vllm_models(answer: object, names: tuple[str, ...]) -> Details:
    """Read vLLM's GET /v1/models: every listed model is in memory, with its context window."""
    alike: dict[int | None, ModelDetails] = {}  # of thousands of models, most have the same
    details: Details = {}
    for name, entry in _named(answer, "data", "id", names):
        window = _count(entry, "max_model_len")
        if window not in alike:
            alike[window] = ModelDetails(is_loaded=True, context_tokens=window)
        details[name] = alike[window]
    return details


def read_llamacpp_props(answer: object, names: tuple[str, ...]) -> Details:
    """Read llama.cpp's GET /props, which describes the one model loaded at start.

    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    """
    if not is_object(answer) or answer.get("role") == "router":
        return {}
    settings, modalities = answer.get("default_generation_settings"), answer.get("modalities")
    window = _count(settings, "n_ctx") if is_object(settings) else None
    lacks: set[Capability] = set()
    if is_object(modalities):
        for word, what in (("vision", Capability.VISION), ("audio", Capability.AUDIO)):
            if modalities.get(word) is False:
                lacks.add(what)
    one = ModelDetails(is_loaded=True, context_tokens=window, lacks=frozenset(lacks))
    # An older router says nothing of itself; it loads its models when they are asked for.
    return {names[0]: one} if len(names) == 1 else {}


def read_llamacpp_models(answer: object, names: tuple[str, ...]) -> Details:
    """Read the GET /v1/models of a llama.cpp that is a router: the state of each model.

    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    """
    details: Details = {}
    for name, entry in _named(answer, "data", "id", names):
        status, meta = entry.get("status"), entry.get("meta")
        made = entry.get("architecture")
        if not is_object(status):
            continue
        taken = made.get("input_modalities") if is_object(made) else None
        lacks = {
            what
            for word, what in (("image", Capability.VISION), ("audio", Capability.AUDIO))
            if is_list(taken) and word not in taken
        }
        details[name] = ModelDetails(
            is_loaded=status.get("value") == "loaded",
            context_tokens=_count(meta, "n_ctx") if is_object(meta) else None,
            lacks=frozenset(lacks),
        )
    return details


def read_lmstudio_models(answer: object, names: tuple[str, ...]) -> Details:
    """Read LM Studio's GET /api/v1/models: each model with its loaded instances.

    https://lmstudio.ai/docs/developer/rest/list
    """
    return {
        name: _lmstudio_details(entry) for name, entry in _named(answer, "models", "key", names)
    }


def read_exo_state(answer: object, names: tuple[str, ...]) -> Details:
    """Read exo's GET /state: it lists every model that it knows, and answers with those placed.

    https://github.com/exo-explore/exo/blob/main/docs/api.md
    """
    placed = answer.get("instances") if is_object(answer) else None
    if not is_object(placed):
        return {}
    tagged = [
        one for instance in placed.values() if is_object(instance) for one in instance.items()
    ]
    running = {
        model
        for _, made in tagged  # by the kind of the instance, as "MlxRingInstance"
        if is_object(made)
        and is_object(shards := made.get("shardAssignments"))
        and isinstance(model := shards.get("modelId"), str)
    }
    return {name: ModelDetails(is_loaded=name in running) for name in names}


def _lmstudio_details(entry: Mapping[str, Any]) -> ModelDetails:
    instances = entry.get("loaded_instances")
    loaded = [one for one in _listed(instances) if is_object(one)]
    windows = [
        window
        for instance in loaded
        if is_object(instance.get("config"))
        and (window := _count(instance["config"], "context_length")) is not None
    ]
    lacks: set[Capability] = set()
    if entry.get("type") == "embedding":
        lacks |= _FOR_EMBEDDING_ONLY
    elif entry.get("type") == "llm":
        lacks.add(Capability.EMBEDDINGS)
        able = entry.get("capabilities")
        if is_object(able) and able.get("vision") is False:
            lacks.add(Capability.VISION)
    return ModelDetails(
        is_loaded=bool(loaded) if is_list(instances) else None,
        context_tokens=max(windows, default=None),
        lacks=frozenset(lacks),
    )


def with_lacks(details: Details, lacks: Mapping[str, frozenset[Capability]]) -> Details:
    """Add the missing capabilities of models to their details."""
    return {name: replace(one, lacks=lacks.get(name, one.lacks)) for name, one in details.items()}


def _named(
    answer: object, field: str, key: str, names: tuple[str, ...]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    wanted = frozenset(names)
    for entry in _entries(answer, field):
        name = entry.get(key)
        if isinstance(name, str) and name in wanted:
            yield name, entry


def _entries(answer: object, field: str) -> Iterator[Mapping[str, Any]]:
    listed = answer.get(field) if is_object(answer) else None
    return (entry for entry in _listed(listed) if is_object(entry))


def _listed(value: object) -> list[Any]:
    return value if is_list(value) else []


def _count(entry: Mapping[str, Any], field: str) -> int | None:
    value = entry.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
