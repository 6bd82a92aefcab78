"""Base URLs as vendors print them, and what is asked at each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.base_url import is_same_base, read_base_url

CHAT, MODELS = "/v1/chat/completions", "/v1/models"

# What is written, and the base below which /chat/completions and /models are.
OPENAI = [
    # A root, and what means the same.
    ("https://api.openai.com", "https://api.openai.com/v1"),
    ("https://api.openai.com/", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
    ("https://h/v1beta", "https://h/v1"),
    ("https://h/some/path", "https://h/some/path/v1"),
    ("https://h/v100", "https://h/v100/v1"),  # a machine, no version
    ("https://API.OpenAI.com", "https://api.openai.com/v1"),
    # A path that ends in /v1.
    ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
    ("https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
    ("https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1"),
    ("https://api.groq.com/openai", "https://api.groq.com/openai/v1"),
    ("https://api.fireworks.ai/inference/v1", "https://api.fireworks.ai/inference/v1"),
    ("https://api.fireworks.ai/inference", "https://api.fireworks.ai/inference/v1"),
    ("https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1"),
    ("https://dashscope.aliyuncs.com/compatible-mode/v1",) * 2,
    ("https://api.cloudflare.com/client/v4/accounts/1/ai/v1",) * 2,
    ("https://api.cohere.ai/compatibility/v1",) * 2,
    ("https://router.huggingface.co/v1",) * 2,
    ("https://api.minimax.io/v1",) * 2,
    ("https://api.moonshot.ai/v1",) * 2,
    ("https://api.runpod.ai/v2/abc/openai/v1",) * 2,
    ("https://api.runpod.ai/v2/abc/openai", "https://api.runpod.ai/v2/abc/openai/v1"),
    ("http://127.0.0.1:12434/engines/llama.cpp/v1",) * 2,
    # Another version.
    ("https://open.bigmodel.cn/api/paas/v4",) * 2,
    ("https://open.bigmodel.cn/api/paas/v4/", "https://open.bigmodel.cn/api/paas/v4"),
    ("https://api.z.ai/api/coding/paas/v4",) * 2,
    ("https://ark.cn-beijing.volces.com/api/v3",) * 2,
    ("https://qianfan.baidubce.com/v2",) * 2,
    ("https://spark-api-open.xf-yun.com/v2",) * 2,
    ("https://h/v1beta1",) * 2,
    ("https://h/v1alpha",) * 2,
    # A suffix of a vendor's own.
    ("https://generativelanguage.googleapis.com/v1beta/openai",) * 2,
    (
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    ("https://api.deepinfra.com/v1/openai",) * 2,
    ("https://api.novita.ai/v3/openai",) * 2,
    ("https://gateway.ai.cloudflare.com/v1/acc/gw/openai",) * 2,
    ("https://gateway.ai.cloudflare.com/v1/acc/gw/compat",) * 2,
    ("https://h/api/openai",) * 2,
    ("https://models.github.ai/inference",) * 2,
    ("https://models.github.ai/orgs/o/inference",) * 2,
    ("https://dbc-1.cloud.databricks.com/serving-endpoints",) * 2,
    ("https://aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi",) * 2,
    # Hosts that are printed bare and do not mean /v1.
    ("https://api.perplexity.ai",) * 2,
    ("https://models.github.ai", "https://models.github.ai/inference"),
    ("https://x.openai.azure.com/", "https://x.openai.azure.com/openai/v1"),
    # A whole endpoint.
    ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/models", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/responses/", "https://api.openai.com/v1"),
    ("https://api.perplexity.ai/chat/completions", "https://api.perplexity.ai"),
    ("https://h/v1/embeddings", "https://h/v1"),
    ("https://h/v1/completions", "https://h/v1"),
    ("https://h/api/paas/v4/chat/completions", "https://h/api/paas/v4"),
    ("https://h//v1//", "https://h/v1"),
    ("http://box:3000/api/chat/completions", "http://box:3000/api"),
    ("https://h/chat/completions", "https://h"),
    ("https://h/v1beta/chat/completions", "https://h/v1beta"),
]


@pytest.mark.parametrize(("url", "base"), OPENAI)
def test_chat_and_models_are_below_the_base_as_it_is_printed(url: str, base: str) -> None:
    found = read_base_url(url, BackendType.OPENAI)

    assert found.of(CHAT) == f"{base}/chat/completions"
    assert found.of(MODELS) == f"{base}/models"


@pytest.mark.parametrize(("url", "base"), OPENAI)
def test_a_base_means_itself(url: str, base: str) -> None:
    as_endpoint = read_base_url(f"{base}/chat/completions", BackendType.OPENAI)

    assert read_base_url(url, BackendType.OPENAI).api == as_endpoint.api == base


# The type, what is written, where chat is, and where a path of the server's own is.
LOCAL = [
    (BackendType.OLLAMA, "http://box", "http://box/v1", "http://box/api/ps"),
    (BackendType.OLLAMA, "http://box/v1", "http://box/v1", "http://box/api/ps"),
    (BackendType.OLLAMA, "http://box/ollama", "http://box/ollama/v1", "http://box/ollama/api/ps"),
    (BackendType.OLLAMA, "http://box/ollama/v1/", "http://box/ollama/v1", "http://box/ollama/api/ps"),
    (BackendType.OLLAMA, "http://box/api", "http://box/v1", "http://box/api/ps"),
    (BackendType.OLLAMA, "http://box/api/chat", "http://box/v1", "http://box/api/ps"),
    (BackendType.OLLAMA, "http://box/x/api/tags", "http://box/x/v1", "http://box/x/api/ps"),
    (BackendType.OLLAMA, "http://box/v1/chat/completions", "http://box/v1", "http://box/api/ps"),
    (BackendType.LMSTUDIO, "http://box/api/v0", "http://box/v1", "http://box/api/ps"),
    (BackendType.LMSTUDIO, "http://box/api/v1/models", "http://box/v1", "http://box/api/ps"),
    (BackendType.LLAMACPP, "http://box/llm/v1", "http://box/llm/v1", "http://box/llm/api/ps"),
    (BackendType.VLLM, "http://box/v2", "http://box/v2", "http://box/api/ps"),
    (BackendType.GENERIC, "http://[::1]:8080/v1", "http://[::1]:8080/v1", "http://[::1]:8080/api/ps"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "url", "base", "own"), LOCAL)
def test_a_servers_own_paths_are_beside_its_version(
    kind: BackendType, url: str, base: str, own: str
) -> None:
    found = read_base_url(url, kind)

    assert found.of(CHAT) == f"{base}/chat/completions"
    assert found.of("/api/ps") == own


ANTHROPIC = [
    ("https://api.anthropic.com", "https://api.anthropic.com/v1"),
    ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1"),
    ("https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1"),
    ("https://api.moonshot.ai/anthropic", "https://api.moonshot.ai/anthropic/v1"),
    ("https://api.moonshot.ai/anthropic/", "https://api.moonshot.ai/anthropic/v1"),
    ("https://api.deepseek.com/anthropic", "https://api.deepseek.com/anthropic/v1"),
    ("https://api.deepseek.com/anthropic/v1", "https://api.deepseek.com/anthropic/v1"),
    ("https://open.bigmodel.cn/api/anthropic", "https://open.bigmodel.cn/api/anthropic/v1"),
    ("https://api.minimax.io/anthropic", "https://api.minimax.io/anthropic/v1"),
    ("https://h/serving-endpoints/anthropic", "https://h/serving-endpoints/anthropic/v1"),
    ("https://h/v2", "https://h/v2/v1"),  # as Anthropic's SDK joins it
    ("https://h/x/messages", "https://h/x"),
    ("https://h/v1/messages/count_tokens", "https://h/v1"),
]


@pytest.mark.parametrize(("url", "base"), ANTHROPIC)
def test_messages_are_where_anthropics_sdk_sends_them(url: str, base: str) -> None:
    found = read_base_url(url, BackendType.ANTHROPIC)

    assert found.of("/v1/messages") == f"{base}/messages"
    assert found.of("/v1/models?limit=100") == f"{base}/models?limit=100"


GOOGLE = [
    ("https://generativelanguage.googleapis.com", "https://generativelanguage.googleapis.com/v1beta"),
    ("https://h/v1beta", "https://h/v1beta"),
    ("https://h/v1", "https://h/v1beta"),
    ("https://h/v1alpha", "https://h/v1alpha"),
    ("https://h/v1beta/openai", "https://h/v1beta"),
    ("https://h/v1beta/openai/", "https://h/v1beta"),
    ("https://h/v1beta/models/gemini-3.5-flash:generateContent", "https://h/v1beta"),
    ("https://h/v1beta/models", "https://h/v1beta"),
    ("https://h/gemini", "https://h/gemini/v1beta"),
    ("https://aiplatform.googleapis.com/v1/publishers/google",) * 2,
    ("https://h/v1/projects/p/locations/l/publishers/google",) * 2,
]  # fmt: skip


@pytest.mark.parametrize(("url", "base"), GOOGLE)
def test_googles_methods_are_below_its_base(url: str, base: str) -> None:
    found = read_base_url(url, BackendType.GOOGLE)

    assert found.of("/v1beta/models/m:generateContent") == f"{base}/models/m:generateContent"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://h", "http://h/v1/", True),
        ("http://h/x", "http://h/x/v1/chat/completions", True),
        ("http://h", "http://h/v4", False),
        ("http://h", "http://h:1", False),
        ("http://h", "https://h", False),
    ],
)
def test_two_ways_to_write_a_base_are_the_same(one: str, other: str, same: bool) -> None:
    assert is_same_base(one, other, BackendType.OPENAI) is same


_SEGMENT = st.sampled_from(
    ["v1", "v1beta", "v4", "api", "openai", "inference", "chat", "completions", "models", "x", ""]
)


@given(st.lists(_SEGMENT, max_size=6), st.sampled_from(BackendType))
def test_of_every_path_something_is_made_that_can_be_asked(
    segments: list[str], kind: BackendType
) -> None:
    base = read_base_url("/".join(["https://h", *segments]), kind)

    assert base.of("/own").startswith("https://h/")
    for url in (base.of(f"{base.version}/x"), base.of("/own")):
        assert "//" not in url.removeprefix("https://")


AZURE_V1 = "https://x.openai.azure.com/openai/v1"


@pytest.mark.parametrize(
    "url",
    [
        AZURE_V1,
        f"{AZURE_V1}/",
        f"{AZURE_V1}/chat/completions",
        "https://x.openai.azure.com",
        "https://x.openai.azure.com/openai",
        "https://x.openai.azure.com/openai/deployments/d/chat/completions",
    ],
)
def test_azures_present_api_is_as_openais(url: str) -> None:
    base = read_base_url(url, BackendType.AZURE)

    assert base.of(CHAT) == f"{AZURE_V1}/chat/completions"
    assert base.of(MODELS) == f"{AZURE_V1}/models"
    assert not base.is_by_deployment


@pytest.mark.parametrize(
    "path",
    ["", "/", "/openai", "/openai/deployments/d", "/openai/deployments/d/chat/completions"],
)
@pytest.mark.parametrize("host", ["https://x.openai.azure.com", "http://127.0.0.1:1"])
def test_a_dated_version_of_azure_has_deployments_in_its_paths(host: str, path: str) -> None:
    base = read_base_url(f"{host}{path}?api-version=2024-10-21", BackendType.AZURE)

    assert base.is_by_deployment
    assert base.of("/v1/deployments/d/chat/completions") == (
        f"{host}/openai/deployments/d/chat/completions?api-version=2024-10-21"
    )
    assert base.of(MODELS) == f"{host}/openai/models?api-version=2024-10-21"
    assert base.of(f"{MODELS}?limit=1") == f"{host}/openai/models?limit=1&api-version=2024-10-21"


def test_azures_present_api_takes_a_version_too() -> None:
    base = read_base_url(f"{AZURE_V1}?api-version=preview", BackendType.AZURE)

    assert base.of(CHAT) == f"{AZURE_V1}/chat/completions?api-version=preview"
    assert not base.is_by_deployment


@pytest.mark.parametrize(
    ("kind", "url", "base"),
    [
        (BackendType.GROQ, "http://127.0.0.1:1", "http://127.0.0.1:1/openai/v1"),
        (BackendType.GROQ, "http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
        (BackendType.FIREWORKS, "https://p/", "https://p/inference/v1"),
        (BackendType.ZHIPU, "https://open.bigmodel.cn", "https://open.bigmodel.cn/api/paas/v4"),
        (BackendType.ZHIPU, "https://h/api/coding/paas/v4", "https://h/api/coding/paas/v4"),
        (BackendType.DEEPSEEK, "https://api.deepseek.com", "https://api.deepseek.com/v1"),
    ],
)
def test_below_a_bare_host_is_what_the_types_own_url_has(
    kind: BackendType, url: str, base: str
) -> None:
    assert read_base_url(url, kind).of(CHAT) == f"{base}/chat/completions"
