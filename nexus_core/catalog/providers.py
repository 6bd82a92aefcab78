"""Rows of the provider catalog, one for each backend type.

An OpenAI-compatible provider is a row here and nothing else. Facts about a vendor's API are from
its documentation, or from reports where that is silent; each has its source beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from nexus_core.catalog.spec import AuthScheme, ProviderSpec, Quirks
from nexus_core.types import Capability, DialectName, Operation

# To read a prompt of 30,000 tokens takes a local GPU minutes. Below 300 s: then Claude Code stops
# waiting, and another backend could not answer any more.
_LOCAL_FIRST_BYTE_SECONDS = 240.0

_EVERYTHING: Mapping[Operation, DialectName] = dict.fromkeys(Operation, DialectName.OPENAI_CHAT)
_CHAT: Mapping[Operation, DialectName] = {Operation.CHAT: DialectName.OPENAI_CHAT}
_CHAT_AND_COMPLETIONS: Mapping[Operation, DialectName] = {
    **_CHAT,
    Operation.COMPLETIONS: DialectName.OPENAI_CHAT,
}
_CHAT_AND_EMBEDDINGS: Mapping[Operation, DialectName] = {
    **_CHAT,
    Operation.EMBEDDINGS: DialectName.OPENAI_CHAT,
}


class BackendType(StrEnum):
    """Backend type: the value of `type` in the configuration, with its catalog row as `spec`."""

    spec: ProviderSpec
    is_cloud: bool
    location: str  # the value of X-Nexus-Backend-Type
    lacks: frozenset[Capability]  # what no backend of the type does, whatever its model

    def __new__(cls, word: str, spec: ProviderSpec | None = None) -> BackendType:
        """Create a member; `BackendType(word)` looks up an existing one.

        Raises:
            TypeError: a member without a catalog row.
        """
        if spec is None:
            raise TypeError(f"{word} has no row")
        member = str.__new__(cls, word)
        member._value_ = word
        member.spec, member.is_cloud, member.lacks = spec, spec.is_cloud, spec.lacks
        member.location = "cloud" if spec.is_cloud else "local"
        return member

    # Local servers --------------------------------------------------------------------------------

    # It lists "llama3:latest" and answers to "llama3" as well; /api/tags is from before 0.1.24.
    # https://github.com/ollama/ollama/blob/main/docs/api.md#model-names
    OLLAMA = (
        "ollama",
        ProviderSpec(
            title="Ollama",
            ports=(11434,),
            apis=frozenset({DialectName.OLLAMA}),
            first_byte_timeout_seconds=_LOCAL_FIRST_BYTE_SECONDS,
            dialects=_EVERYTHING,
            models_paths=("/v1/models", "/api/tags"),
            own_endpoints=r"/api(?:/(?:chat|generate|tags|show|ps|embed|embeddings|version))?",
            owned_by="library",
            mdns_service="_ollama._tcp.local.",
            implied_tag=":latest",
            embeds_text_as_floats=True,
        ),
    )
    # https://lmstudio.ai/docs/developer/rest
    LMSTUDIO = (
        "lmstudio",
        ProviderSpec(
            title="LM Studio",
            ports=(1234,),
            first_byte_timeout_seconds=_LOCAL_FIRST_BYTE_SECONDS,
            dialects=_EVERYTHING,
            models_paths=("/v1/models", "/api/v1/models"),
            own_endpoints=r"/api/v[01](?:/(?:chat|models))?",
            owned_by="organization_owner",
        ),
    )
    VLLM = (
        "vllm",
        ProviderSpec(
            title="vLLM",
            ports=(8000,),
            first_byte_timeout_seconds=_LOCAL_FIRST_BYTE_SECONDS,
            dialects=_EVERYTHING,
            owned_by="vllm",
        ),
    )
    # 8080 is to become 9931: https://github.com/ggml-org/llama.cpp/pull/26508
    LLAMACPP = (
        "llamacpp",
        ProviderSpec(
            title="llama.cpp",
            ports=(8080, 9931),
            first_byte_timeout_seconds=_LOCAL_FIRST_BYTE_SECONDS,
            dialects=_EVERYTHING,
            owned_by="llamacpp",
        ),
    )
    EXO = (
        "exo",
        ProviderSpec(
            title="exo",
            ports=(52415,),
            first_byte_timeout_seconds=_LOCAL_FIRST_BYTE_SECONDS,
            dialects=_EVERYTHING,
            owned_by="exo",
        ),
    )
    # Text Generation Inference tells its one model at /info.
    # https://huggingface.co/docs/text-generation-inference/reference/api_reference
    GENERIC = (
        "generic",
        ProviderSpec(
            title="a server",
            first_byte_timeout_seconds=_LOCAL_FIRST_BYTE_SECONDS,
            dialects=_EVERYTHING,
            models_paths=("/v1/models", "/info"),
            mdns_service="_llm._tcp.local.",
        ),
    )

    # Clouds ---------------------------------------------------------------------------------------

    OPENAI = (
        "openai",
        ProviderSpec(
            title="OpenAI",
            is_cloud=True,
            url="https://api.openai.com",
            key_variables=("OPENAI_API_KEY",),
            dialects=_EVERYTHING,
            apis=frozenset({DialectName.RESPONSES}),
            price_lists=("openai",),
            is_major=True,
        ),
    )
    ANTHROPIC = (
        "anthropic",
        ProviderSpec(
            title="Anthropic",
            is_cloud=True,
            url="https://api.anthropic.com",
            key_variables=("ANTHROPIC_API_KEY",),
            auth=AuthScheme.X_API_KEY,
            dialects={Operation.CHAT: DialectName.ANTHROPIC},
            also_lacks=frozenset({Capability.AUDIO}),
            price_lists=("anthropic",),
            is_major=True,
        ),
    )
    GOOGLE = (
        "google",
        ProviderSpec(
            title="Google",
            is_cloud=True,
            url="https://generativelanguage.googleapis.com",
            key_variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
            auth=AuthScheme.X_GOOG_API_KEY,
            dialects={
                Operation.CHAT: DialectName.GEMINI,
                Operation.EMBEDDINGS: DialectName.GEMINI,
            },
            models_paths=("/v1beta/models",),
            price_lists=("google",),
            otel_name="gcp.gemini",
            is_major=True,
        ),
    )
    # Keys go as api-key, the model is a deployment, and what is listed are base models.
    # https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
    # https://learn.microsoft.com/rest/api/azureopenai/models/list
    AZURE = (
        "azure",
        ProviderSpec(
            title="Azure OpenAI",
            is_cloud=True,
            url_example="https://NAME.openai.azure.com/openai/v1",
            key_variables=("AZURE_OPENAI_API_KEY",),
            auth=AuthScheme.API_KEY,
            dialects=_EVERYTHING,
            has_deployments=True,
            price_lists=("azure",),
            otel_name="azure.ai.openai",
        ),
    )
    # https://openrouter.ai/docs/api-reference/overview
    OPENROUTER = (
        "openrouter",
        ProviderSpec(
            title="OpenRouter",
            is_cloud=True,
            url="https://openrouter.ai/api/v1",
            key_variables=("OPENROUTER_API_KEY",),
            dialects=_EVERYTHING,
            price_lists=("openrouter",),
        ),
    )
    # No embeddings, no text completions; logit_bias is a 400. https://console.groq.com/docs/openai
    # "property 'reasoning_content' is unsupported" (janhq/jan issue 8136).
    GROQ = (
        "groq",
        ProviderSpec(
            title="Groq",
            is_cloud=True,
            url="https://api.groq.com/openai/v1",
            key_variables=("GROQ_API_KEY",),
            dialects=_CHAT,
            quirks=Quirks(refused=frozenset({"logit_bias"}), takes_reasoning_back=False),
            price_lists=("groq",),
        ),
    )
    # Fields that it does not know are a 422: max_completion_tokens, store (Gitlawb/openclaude issue
    # 739), stream_options.include_usage (openai/openai-agents-python 442; usage comes unasked),
    # user (BerriAI/litellm 3899), a message's reasoning_content (charmbracelet/crush 1590).
    # Completions are at /v1/fim alone. https://docs.mistral.ai/api
    MISTRAL = (
        "mistral",
        ProviderSpec(
            title="Mistral",
            is_cloud=True,
            url="https://api.mistral.ai/v1",
            key_variables=("MISTRAL_API_KEY",),
            dialects=_CHAT_AND_EMBEDDINGS,
            quirks=Quirks(
                has_developer_role=False,
                takes_stream_options=False,
                renamed=(("max_completion_tokens", "max_tokens"), ("seed", "random_seed")),
                refused=frozenset({"logit_bias"}),
                ignored=frozenset({"store", "user"}),
                takes_reasoning_back=False,
            ),
            price_lists=("mistral",),
            otel_name="mistral_ai",
        ),
    )
    # The role: "unknown variant `developer`" (eclipse-theia/theia issue 15144). Completions are at
    # /beta alone. https://api-docs.deepseek.com/api/create-chat-completion
    DEEPSEEK = (
        "deepseek",
        ProviderSpec(
            title="DeepSeek",
            is_cloud=True,
            url="https://api.deepseek.com",
            key_variables=("DEEPSEEK_API_KEY",),
            dialects=_CHAT,
            quirks=Quirks(
                has_developer_role=False, renamed=(("max_completion_tokens", "max_tokens"),)
            ),
            price_lists=("deepseek",),
        ),
    )
    # "Model … does not support parameter presencePenalty": all models since Grok 3.
    # No embeddings. https://docs.x.ai/developers/model-capabilities/text/reasoning
    XAI = (
        "xai",
        ProviderSpec(
            title="xAI",
            is_cloud=True,
            url="https://api.x.ai/v1",
            key_variables=("XAI_API_KEY",),
            dialects=_CHAT_AND_COMPLETIONS,
            quirks=Quirks(refused=frozenset({"presence_penalty", "frequency_penalty"})),
            price_lists=("x-ai",),
            otel_name="x_ai",
        ),
    )
    # https://docs.together.ai/docs/inference/openai-compatibility
    TOGETHER = (
        "together",
        ProviderSpec(
            title="Together",
            is_cloud=True,
            url="https://api.together.ai/v1",
            key_variables=("TOGETHER_API_KEY",),
            dialects=_EVERYTHING,
            price_lists=("together",),
        ),
    )
    # https://docs.fireworks.ai/tools-sdks/openai-compatibility
    FIREWORKS = (
        "fireworks",
        ProviderSpec(
            title="Fireworks",
            is_cloud=True,
            url="https://api.fireworks.ai/inference/v1",
            key_variables=("FIREWORKS_API_KEY",),
            dialects=_EVERYTHING,
            price_lists=("fireworks",),
        ),
    )
    # ROLE_UNSPECIFIED (openclaw/openclaw issue 21060). In China: https://api.moonshot.cn/v1.
    # https://platform.moonshot.ai/docs/api/chat
    MOONSHOT = (
        "moonshot",
        ProviderSpec(
            title="Moonshot",
            is_cloud=True,
            url="https://api.moonshot.ai/v1",
            key_variables=("MOONSHOT_API_KEY",),
            dialects=_CHAT,
            quirks=Quirks(has_developer_role=False),
            price_lists=("moonshotai",),
        ),
    )
    # The role is error 1214 (openclaw/openclaw issue 23115). In China, with embeddings:
    # https://open.bigmodel.cn/api/paas/v4. https://docs.z.ai/api-reference/llm/chat-completion
    ZHIPU = (
        "zhipu",
        ProviderSpec(
            title="Zhipu",
            is_cloud=True,
            url="https://api.z.ai/api/paas/v4",
            key_variables=("ZAI_API_KEY", "ZHIPUAI_API_KEY"),
            dialects=_CHAT_AND_EMBEDDINGS,
            quirks=Quirks(
                has_developer_role=False, renamed=(("max_completion_tokens", "max_tokens"),)
            ),
            price_lists=("zai", "zhipuai"),
        ),
    )
    # "Our implementation does not expose developer directly"; no embeddings.
    # https://inference-docs.cerebras.ai/resources/openai
    # "property 'messages.2.assistant.reasoning_content' is unsupported"
    # (Alishahryar1/free-claude-code issue 1136).
    CEREBRAS = (
        "cerebras",
        ProviderSpec(
            title="Cerebras",
            is_cloud=True,
            url="https://api.cerebras.ai/v1",
            key_variables=("CEREBRAS_API_KEY",),
            dialects=_CHAT_AND_COMPLETIONS,
            quirks=Quirks(
                has_developer_role=False,
                refused=frozenset({"logit_bias"}),
                takes_reasoning_back=False,
            ),
            price_lists=("cerebras",),
        ),
    )


LOCAL_TYPES = tuple(kind for kind in BackendType if not kind.is_cloud)
CLOUD_TYPES = tuple(kind for kind in BackendType if kind.is_cloud)

# Whose prices and [pricing] table hold for a vendor that only speaks its format.
OPENAI_FORMAT = BackendType.OPENAI
