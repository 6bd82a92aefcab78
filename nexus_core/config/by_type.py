"""Defaults and constraints of a backend's table by its type. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nexus_core.catalog import BackendType, ProviderSpec
from nexus_core.config.schema import has_api_version
from nexus_core.types import DialectName, JsonObject, PrivacyZone


class KeyFault(NamedTuple):
    """A fault of one key in a backend's table, as a message for the user."""

    key: str
    text: str


def implied_by_type(backend: JsonObject) -> JsonObject:
    """Defaults by type for keys missing in a backend's table, whose values may be of any type.

    A backend of an unknown type is refused elsewhere; here it counts as a local one.
    """
    spec = _spec_of(backend)
    is_cloud = spec is not None and spec.is_cloud
    implied: JsonObject = {"zone": PrivacyZone.OPEN if is_cloud else PrivacyZone.RESTRICTED}
    if spec is not None and spec.url is not None:
        implied["url"] = spec.url
    return implied


def faults_by_type(backend: JsonObject) -> Iterator[KeyFault]:
    """Keys that are missing or invalid for a backend of this type."""
    spec, kind, url = _spec_of(backend), backend.get("type"), backend.get("url")
    has_deployments = spec is not None and spec.has_deployments
    if spec is not None and spec.is_cloud and "api_key_env" not in backend:
        text = f"is missing; type {kind} requires the environment variable of its API key"
        yield KeyFault("api_key_env", text)
    if has_deployments and "models" not in backend:
        text = f"is missing; type {kind} does not list its deployments; name the ones to use"
        yield KeyFault("models", text)
    if spec is not None and "apis" in backend and spec.dialect is not DialectName.OPENAI_CHAT:
        text = f"has no meaning for type {kind}; remove it"
        yield KeyFault("apis", text)
    if isinstance(url, str) and has_api_version(url) and not has_deployments:
        text = (
            "must end with the host or path, without ? or #; "
            "Azure's https://NAME.openai.azure.com/openai/v1 needs no api-version"
        )
        yield KeyFault("url", text)


def _spec_of(backend: JsonObject) -> ProviderSpec | None:
    kind = backend.get("type")
    return next((known.spec for known in BackendType if known == kind), None)
