"""The shape of a row of the provider catalog: what is known of one kind of backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nexus_core.types import Capability, DialectName, Operation


class AuthScheme(StrEnum):
    """Which header carries a backend's key; see providers/auth/."""

    BEARER = "bearer"  # Authorization: Bearer KEY
    X_API_KEY = "x-api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    API_KEY = "api-key"


_CAPABILITIES = {
    Operation.CHAT: Capability.CHAT,
    Operation.COMPLETIONS: Capability.COMPLETIONS,
    Operation.EMBEDDINGS: Capability.EMBEDDINGS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Which fields of a chat a provider of OpenAI's format has another way with than OpenAI.

    A request with such a field is written anew; every other one passes byte for byte.
    """

    has_developer_role: bool = True  # else such a message goes as a system message
    takes_stream_options: bool = True  # else it reports usage unasked, and refuses the field
    renamed: tuple[tuple[str, str], ...] = ()  # OpenAI's name of a field, and its own
    refused: frozenset[str] = frozenset()  # sampling hints: left out, or a 422, as configured
    ignored: frozenset[str] = frozenset()  # fields without effect on the answer: left out
    takes_reasoning_back: bool = True  # else reasoning_content of earlier answers is left out


NO_QUIRKS = Quirks()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """What is known of one kind of backend before any of it is configured."""

    title: str  # for people
    is_cloud: bool = False
    url: str | None = None  # of a cloud: its base, as the vendor prints it
    url_example: str | None = None  # of a cloud where each account has a URL of its own
    port: int | None = None  # of a local server: where it usually listens
    key_variables: tuple[str, ...] = ()  # that hold its key by custom; the first that is set counts
    auth: AuthScheme = AuthScheme.BEARER
    # What it can be asked for, and in which format; it lacks what is not there.
    dialects: Mapping[Operation, DialectName]
    also_lacks: frozenset[Capability] = frozenset()  # whatever the model
    models_paths: tuple[str, ...] = ("/v1/models",)  # where it lists them; the first that is there
    quirks: Quirks = NO_QUIRKS
    # Models are deployments, under names of their own that no list tells.
    has_deployments: bool = False
    price_lists: tuple[str, ...] = ()  # its ids in genai-prices; the first holds for any URL
    has_tiktoken: bool = False  # OpenAI's vocabularies count tokens of its models
    otel_name: str | None = None  # gen_ai.provider.name; None: as the type
    # It is told of where its key is not set, and its prices say what local answers save.
    is_major: bool = False
    own_endpoints: str | None = None  # pattern: paths of its own API that people paste as the URL
    owned_by: str | None = None  # who owns its models, as its list says
    mdns_service: str | None = None  # under which it announces itself
    implied_tag: str | None = None  # a model whose name ends so may be asked for without it
    embeds_text_as_floats: bool = False  # its embeddings take no tokens and know no base64

    @property
    def dialect(self) -> DialectName:
        """The format of its chats."""
        return self.dialects[Operation.CHAT]

    @property
    def lacks(self) -> frozenset[Capability]:
        """What no backend of the kind does, whatever its model."""
        missing = (
            _CAPABILITIES[operation] for operation in Operation if operation not in self.dialects
        )
        return self.also_lacks.union(missing)
