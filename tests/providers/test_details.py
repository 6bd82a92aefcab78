"""What local servers tell of their models, as they tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.providers import AgentSettings, create_agent
from nexus_core.providers.details import (
    read_exo_state,
    read_llamacpp_models,
    read_llamacpp_props,
    read_lmstudio_models,
    read_ollama_ps,
    read_ollama_show,
    read_vllm_models,
)
from nexus_core.types import Capability, ModelDetails, PrivacyZone, ProbeResult
from nexus_core.upstream.httpx_engine import HttpxEngine

OLLAMA = {
    "/v1/models": {"data": [{"id": "llama3:latest"}, {"id": "nomic:v1"}]},
    "/api/ps": {"models": [{"name": "llama3:latest", "context_length": 4096}]},
    "llama3:latest": {"capabilities": ["completion", "tools"]},
    "llama3": {"capabilities": ["completion", "tools"]},
    "nomic:v1": {"capabilities": ["embedding"]},
}
VLLM = {"/v1/models": {"data": [{"id": "m", "max_model_len": 32768}, {"id": "adapter"}]}}
LLAMACPP = {
    "/v1/models": {"data": [{"id": "m.gguf", "meta": {"n_ctx_train": 131072}}]},
    "/props": {
        "default_generation_settings": {"n_ctx": 8192},
        "modalities": {"vision": False, "audio": True},
    },
}
LMSTUDIO = {
    "/v1/models": {"data": [{"id": "qwen"}, {"id": "embed"}]},
    "/api/v1/models": {
        "models": [
            {
                "key": "qwen",
                "type": "llm",
                "max_context_length": 131072,
                "loaded_instances": [{"id": "qwen", "config": {"context_length": 16384}}],
                "capabilities": {"vision": False, "trained_for_tool_use": True},
            },
            {"key": "embed", "type": "embedding", "loaded_instances": []},
            {"key": "not listed", "type": "llm", "loaded_instances": []},
        ]
    },
}


class Server(httpx.AsyncBaseTransport):
    """Answers by path; POST /api/show by the model's name. What it does not know is a 404."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        path = json.loads(content)["model"] if request.method == "POST" else request.url.path
        self.asked.append(path)
        answer = self.answers.get(path)
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        return httpx.Response(404 if answer is None else 200, json=answer)


async def probed(kind: BackendType, server: Server, times: int = 1) -> ProbeResult:
    config = BackendConfig(name="b", url="http://b.test", type=kind, zone=PrivacyZone.RESTRICTED)
    agent = create_agent(config, HttpxEngine(server), AgentSettings(connect_timeout_seconds=1))
    for _ in range(times - 1):
        await agent.probe(timeout_seconds=5)
    return await agent.probe(timeout_seconds=5)


async def test_ollama_tells_what_is_loaded_and_what_models_do() -> None:
    result = await probed(BackendType.OLLAMA, Server(OLLAMA))

    assert result.details is not None
    llama, nomic = result.details["llama3"], result.details["nomic:v1"]
    assert (llama.is_loaded, llama.context_tokens) == (True, 4096)
    assert llama.lacks == {Capability.VISION, Capability.EMBEDDINGS}
    assert (nomic.is_loaded, nomic.context_tokens) == (False, None)
    assert {Capability.CHAT, Capability.TOOLS} <= nomic.lacks
    assert Capability.EMBEDDINGS not in nomic.lacks


async def test_each_ollama_model_is_shown_once() -> None:
    server = Server(OLLAMA)

    result = await probed(BackendType.OLLAMA, server, times=3)

    assert server.asked.count("nomic:v1") == 1
    assert result.details is not None
    assert Capability.CHAT in result.details["nomic:v1"].lacks


async def test_exo_has_those_models_in_memory_that_are_placed() -> None:
    listed = [{"id": name, "object": "model", "owned_by": "exo"} for name in ("placed", "known")]
    shards = {"modelId": "placed", "runnerToShard": {"r1": {"PipelineShardMetadata": {}}}}
    placed = {"i1": {"MlxRingInstance": {"instanceId": "i1", "shardAssignments": shards}}}
    server = Server({"/v1/models": {"data": listed}, "/state": {"instances": placed}})

    result = await probed(BackendType.EXO, server)

    assert result.details is not None
    assert {name: one.is_loaded for name, one in result.details.items()} == {
        "placed": True,
        "known": False,
    }


async def test_vllm_has_all_its_models_in_memory() -> None:
    result = await probed(BackendType.VLLM, Server(VLLM))

    assert result.details == {
        "m": ModelDetails(is_loaded=True, context_tokens=32768),
        "adapter": ModelDetails(is_loaded=True),
    }


async def test_llamacpp_tells_its_real_window_and_modalities() -> None:
    result = await probed(BackendType.LLAMACPP, Server(LLAMACPP))

    lacks = frozenset({Capability.VISION})
    assert result.details == {
        "m.gguf": ModelDetails(is_loaded=True, context_tokens=8192, lacks=lacks)
    }


ROUTER: dict[str, Any] = {
    "/v1/models": {
        "data": [
            {
                "id": "a",
                "status": {"value": "loaded", "args": ["--ctx-size", "8192"]},
                "architecture": {"input_modalities": ["text", "image"]},
                "meta": {"n_ctx": 8192, "n_ctx_train": 131072},
            },
            {
                "id": "b",
                "status": {"value": "unloaded"},
                "architecture": {"input_modalities": ["text"]},
            },
        ]
    },
    "/props": {"role": "router", "default_generation_settings": {"params": None, "n_ctx": 0}},
}


async def test_a_llamacpp_router_tells_which_models_are_loaded() -> None:
    result = await probed(BackendType.LLAMACPP, Server(ROUTER))

    neither = frozenset({Capability.VISION, Capability.AUDIO})
    assert result.details == {
        "a": ModelDetails(is_loaded=True, context_tokens=8192, lacks=frozenset({Capability.AUDIO})),
        "b": ModelDetails(is_loaded=False, lacks=neither),
    }


async def test_the_only_model_of_a_llamacpp_router_may_not_be_loaded() -> None:
    (_, unloaded) = ROUTER["/v1/models"]["data"]

    result = await probed(
        BackendType.LLAMACPP, Server(ROUTER | {"/v1/models": {"data": [unloaded]}})
    )

    assert result.details is not None
    assert result.details["b"].is_loaded is False


async def test_lm_studio_tells_loaded_instances_and_kinds() -> None:
    result = await probed(BackendType.LMSTUDIO, Server(LMSTUDIO))

    assert result.details is not None
    qwen, embed = result.details["qwen"], result.details["embed"]
    assert (qwen.is_loaded, qwen.context_tokens) == (True, 16384)
    assert qwen.lacks == {Capability.VISION, Capability.EMBEDDINGS}
    assert embed.is_loaded is False
    assert Capability.CHAT in embed.lacks
    assert "not listed" not in result.details


@pytest.mark.parametrize("kind", [BackendType.GENERIC, BackendType.OPENAI])
async def test_other_servers_tell_nothing(kind: BackendType) -> None:
    result = await probed(kind, Server(VLLM))

    assert result.ok
    assert result.details is None


@pytest.mark.parametrize("broken", [None, b"<html>", b"[" * 9999])
async def test_a_server_that_tells_nothing_of_its_models_is_as_healthy(broken: object) -> None:
    result = await probed(BackendType.OLLAMA, Server({**OLLAMA, "/api/ps": broken}))

    assert result.ok
    assert result.models == ("llama3:latest", "nomic:v1", "llama3")
    assert result.details is None


async def test_an_old_ollama_does_not_tell_what_models_do() -> None:
    result = await probed(BackendType.OLLAMA, Server({**OLLAMA, "nomic:v1": {"license": "MIT"}}))

    assert result.details is not None
    assert result.details["nomic:v1"].lacks == frozenset()


WORDS = (
    "data",
    "models",
    "status",
    "architecture",
    "meta",
    "input_modalities",
    "value",
    "id",
    "key",
    "name",
    "type",
    "loaded_instances",
    "config",
)
MORE = (
    "instances",
    "shardAssignments",
    "modelId",
    "context_length",
    "capabilities",
    "modalities",
    "default_generation_settings",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(("m", "llm", "embedding")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS + MORE), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_answer_is_a_failure(answer: object) -> None:
    for read in (
        read_ollama_ps,
        read_vllm_models,
        read_llamacpp_props,
        read_llamacpp_models,
        read_lmstudio_models,
        read_exo_state,
    ):
        assert read(answer, ("m",)).keys() <= {"m"}
    read_ollama_show(answer)


def test_a_long_list_is_not_searched_for_each_of_its_models() -> None:
    class Names(tuple[str, ...]):
        __slots__ = ()

        def __contains__(self, name: object) -> bool:
            raise AssertionError("10,000 names times 10,000 names")

    answer = {"data": [{"id": f"m{number}"} for number in range(100)]}

    details = read_vllm_models(answer, Names(f"m{number}" for number in range(50)))

    assert len(details) == 50
