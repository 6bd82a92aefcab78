"""Provider catalog: one row, a `ProviderSpec`, for each backend type.

All other code reads facts about a provider from here.
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
