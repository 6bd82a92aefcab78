"""Cloud keys in the environment: whether they are set, and backends for whoever asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexus_core.catalog import CLOUD_TYPES, BackendType
from nexus_core.config.load import with_environment
from nexus_core.config.schema import BackendConfig, Config, UnusableBackend
from nexus_core.types import PrivacyZone

CLOUD_PRIORITY = 10  # below whatever is local


@dataclass(frozen=True, slots=True)
class CloudKey:
    """A variable that may hold a provider's key; the key itself is not looked at."""

    type: BackendType
    variable: str
    is_set: bool

    @property
    def url(self) -> str:
        """The provider's; where each account has one of its own, an example to fill in."""
        spec = self.type.spec
        return spec.url or spec.url_example or ""

    @property
    def needs_url(self) -> bool:
        """The key alone does not say where its account is."""
        return self.type.spec.url is None


def cloud_keys(environ: Mapping[str, str]) -> tuple[CloudKey, ...]:
    """Keys that can be used as they are, in the catalog's order: all that are set, and of the
    major providers also those that are not."""
    keys = (_key(kind, environ) for kind in CLOUD_TYPES)
    return tuple(k for k in keys if not k.needs_url and (k.is_set or k.type.spec.is_major))


def keys_without_url(environ: Mapping[str, str]) -> tuple[CloudKey, ...]:
    """Keys that are set and whose account has a URL of its own, which only its owner knows."""
    keys = (_key(kind, environ) for kind in CLOUD_TYPES)
    return tuple(key for key in keys if key.is_set and key.needs_url)


def _key(kind: BackendType, environ: Mapping[str, str]) -> CloudKey:
    names = kind.spec.key_variables
    variable = next((name for name in names if environ.get(name, "").strip()), None)
    return CloudKey(kind, variable or names[0], variable is not None)


def cloud_backend(
    key: CloudKey, environ: Mapping[str, str], priority: int = CLOUD_PRIORITY
) -> BackendConfig | UnusableBackend:
    """The backend behind a key, by the provider's name; only for whoever asks for it."""
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
    """`config` and a backend for every key that is set, below anything local.

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
