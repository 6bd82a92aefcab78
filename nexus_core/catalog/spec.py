"""Fields of a provider catalog row: `ProviderSpec`, `Quirks` and `AuthScheme`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from nexus_core.types import Capability, DialectName, Operation


class AuthScheme(StrEnum):
    """Header that carries a backend's key; see providers/auth/."""

    BEARER = "bearer"  # Authorization: Bearer KEY
    X_API_KEY = "x-api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    API_KEY = "api-key"


_CAPABILITIES = {
    Operation.CHAT: Capability.CHAT,
    Operation.COMPLETIONS: Capability.COMPLETIONS,
    Operation.EMBEDDINGS: Capability.EMBEDDINGS,
}


# What only servers of one format have.
_OF_ONE_FORMAT = {
    Capability.PROVIDER_TOOLS: DialectName.ANTHROPIC,
    Capability.GOOGLE_FEATURES: DialectName.GEMINI,
    Capability.STORED_RESPONSES: DialectName.RESPONSES,
    Capability.OLLAMA_FIELDS: DialectName.OLLAMA,
}


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """Differences of an OpenAI-compatible provider from OpenAI in fields of chat requests.

    A request with such a field is rewritten; every other one passes byte for byte.
    """

    has_developer_role: bool = True  # else sent as a system message
    takes_stream_options: bool = True  # else it always reports usage, and refuses the field
    renamed: tuple[tuple[str, str], ...] = ()  # OpenAI's name of a field, and the provider's
    refused: frozenset[str] = frozenset()  # sampling hints: left out, or a 422, as configured
    ignored: frozenset[str] = frozenset()  # fields without effect on the answer: left out
    takes_reasoning_back: bool = True  # else reasoning_content of earlier answers is left out


NO_QUIRKS = Quirks()


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's facts: URL, key, authentication, dialects, capabilities, prices."""

    title: str  # for people
    is_cloud: bool = False
    # How long a stream's first content may take, where the configuration does not say.
    first_byte_timeout_seconds: float = 60.0
    url: str | None = None  # of a cloud: its base, as the vendor prints it
    url_example: str | None = None  # of a cloud where each account has a URL of its own
    ports: tuple[int, ...] = ()  # of a local server: where it usually listens
    key_variables: tuple[str, ...] = ()  # usual names for its key; the first that is set counts
    auth: AuthScheme = AuthScheme.BEARER
    # Supported operations with their formats; a missing operation is unsupported.
    dialects: Mapping[Operation, DialectName]
    apis: frozenset[DialectName] = frozenset()  # it takes requests in these as they come, too
    also_lacks: frozenset[Capability] = frozenset()  # for every model
    models_paths: tuple[str, ...] = ("/v1/models",)  # of the model list; the first that exists
    quirks: Quirks = NO_QUIRKS
    # Models are deployments, with the account's own names, which no list contains.
    has_deployments: bool = False
    price_lists: tuple[str, ...] = ()  # ids in genai-prices; the first applies to any URL
    otel_name: str | None = None  # gen_ai.provider.name; None: as the type
    # Suggested where its key is not set; its prices are the base of savings by local answers.
    is_major: bool = False
    own_endpoints: str | None = None  # pattern: paths of its own API that users paste as the URL
    owned_by: str | None = None  # `owned_by` in its model list
    mdns_service: str | None = None  # under which it announces itself
    implied_tag: str | None = None  # end of a model's name that requests may leave out
    embeds_text_as_floats: bool = False  # embeddings without tokens as input and without base64

    @property
    def dialect(self) -> DialectName:
        """Dialect of its chat API."""
        return self.dialects[Operation.CHAT]

    @property
    def lacks(self) -> frozenset[Capability]:
        """Capabilities that no model of this backend type has."""
        missing = (
            _CAPABILITIES[operation] for operation in Operation if operation not in self.dialects
        )
        spoken = {self.dialect, *self.apis}
        others = {what for what, dialect in _OF_ONE_FORMAT.items() if dialect not in spoken}
        return self.also_lacks.union(missing, others)
