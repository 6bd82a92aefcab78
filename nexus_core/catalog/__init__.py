"""The provider catalog: `BackendType` has one row, a `ProviderSpec`, for each kind of backend.

Whatever else needs a fact about a provider derives it from here.
"""

from nexus_core.catalog.providers import CLOUD_TYPES, LOCAL_TYPES, OPENAI_FORMAT, BackendType
from nexus_core.catalog.spec import AuthScheme, ProviderSpec, Quirks

__all__ = [
    "CLOUD_TYPES",
    "LOCAL_TYPES",
    "OPENAI_FORMAT",
    "AuthScheme",
    "BackendType",
    "ProviderSpec",
    "Quirks",
]
