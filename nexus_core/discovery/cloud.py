"""Cloud keys in the environment, and backends made from them on request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nexus_core.config.load import with_environment
from nexus_core.config.schema import BackendConfig, Config, UnusableBackend
from nexus_core.types import BackendType, PrivacyZone

CLOUD_PRIORITY = 10  # below whatever is local

_URLS = {
    BackendType.OPENAI: "https://api.openai.com",
    BackendType.ANTHROPIC: "https://api.anthropic.com",
    BackendType.GOOGLE: "https://generativelanguage.googleapis.com",
}
# The first that is set counts.
_VARIABLES = {
    BackendType.OPENAI: ("OPENAI_API_KEY",),
    BackendType.ANTHROPIC: ("ANTHROPIC_API_KEY",),
    BackendType.GOOGLE: ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
}


@dataclass(frozen=True, slots=True)
class CloudKey:
    """An environment variable for a provider's key; the key itself is not read."""

    type: BackendType
    variable: str
    is_set: bool

    @property
    def url(self) -> str:
        return _URLS[self.type]


def cloud_keys(environ: Mapping[str, str]) -> tuple[CloudKey, ...]:
    """Cloud keys of the environment, one per provider, in a fixed order."""
    return tuple(_key(kind, names, environ) for kind, names in _VARIABLES.items())


def _key(kind: BackendType, names: Iterable[str], environ: Mapping[str, str]) -> CloudKey:
    first, *_ = names = tuple(names)
    variable = next((name for name in names if environ.get(name, "").strip()), None)
    return CloudKey(kind, variable or first, variable is not None)


def cloud_backend(
    key: CloudKey, environ: Mapping[str, str], priority: int = CLOUD_PRIORITY
) -> BackendConfig | UnusableBackend:
    """Backend for a cloud key, named after its provider."""
    backend = BackendConfig(
        name=key.type.value,
        url=key.url,
        type=key.type,
        zone=PrivacyZone.OPEN,
        priority=priority,
        api_key_env=key.variable,
    )
    return with_environment(backend, environ)


def with_cloud(config: Config, environ: Mapping[str, str]) -> Config:
    """Add a backend to `config` for every set cloud key, below local ones.

    A backend of the configuration wins over one of the same type or name.
    """
    types = {b.type for b in config.backends} | {b.type for b in config.unusable}
    names = {b.name for b in config.backends} | {b.name for b in config.unusable}
    local = [b.priority for b in config.backends if not b.type.is_cloud]
    priority = min([CLOUD_PRIORITY, *(lowest - 1 for lowest in local)])
    found = [
        cloud_backend(key, environ, priority)
        for key in cloud_keys(environ)
        if key.is_set and key.type not in types and key.type.value not in names
    ]
    usable = (backend for backend in found if isinstance(backend, BackendConfig))
    unusable = (backend for backend in found if isinstance(backend, UnusableBackend))
    return config.model_copy(
        update={
            "backends": (*config.backends, *usable),
            "unusable": (*config.unusable, *unusable),
        }
    )
