"""GET /v1/models: models and aliases served by the enabled backends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from nexus_core.aliases import is_glob, resolve_aliases
from nexus_core.api.asgi.messages import Scope, header
from nexus_core.errors import ModelNotFoundError
from nexus_core.gateway import Gateway
from nexus_core.near_names import near_names, shortlist

_GOOGLES = (b"x-goog-api-key", b"x-goog-api-client")  # that Google's clients send
_SLICE = 500  # entries: about a millisecond of the loop


async def list_models(gateway: Gateway) -> bytes:
    """The answer of GET /v1/models as JSON, in the order of the backends, aliases last.

    Made in slices: ten thousand entries take longer than a stream should have to wait.
    """
    parts: list[str] = []
    entries = _entries(gateway)
    while batch := list(islice(entries, _SLICE)):
        parts += (json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in batch)
        await asyncio.sleep(0)
    return f'{{"object":"list","data":[{",".join(parts)}]}}'.encode()


async def served_models(gateway: Gateway) -> list[str]:
    """The same names alone."""
    names: list[str] = []
    entries = _entries(gateway)
    while batch := list(islice(entries, _SLICE)):
        names += (entry["id"] for entry in batch)
        await asyncio.sleep(0)
    return names


async def not_served(gateway: Gateway, name: str, listing: str) -> ModelNotFoundError:
    """The error for a name that no backend serves; `listing` is the path of the list of models."""
    near = near_names(name, await shortlist(name, await served_models(gateway)))
    hint = f"did you mean {' or '.join(near)}?" if near else f"GET {listing} lists the models"
    return ModelNotFoundError(f"the model {name!r} is not served here; {hint}", param="model")


async def list_for_anthropic(gateway: Gateway) -> bytes:
    """The same models as Anthropic's clients read them, all on one page.

    https://platform.claude.com/docs/en/api/models-list
    """
    listed = json.loads(await list_models(gateway))["data"]
    data = [
        {
            "type": "model",
            "id": entry["id"],
            "display_name": entry["display_name"],
            "created_at": datetime.fromtimestamp(entry["created"], UTC).isoformat(),
        }
        for entry in listed
    ]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    page = {"data": data, "has_more": False, "first_id": first, "last_id": last}
    return json.dumps(page).encode()


def is_googles(scope: Scope) -> bool:
    """Whether a client of Google's asks, which reads no other shape."""
    return any(header(scope, name) is not None for name in _GOOGLES)


async def list_for_google(gateway: Gateway) -> bytes:
    """The same models as Google's clients read them, all on one page.

    https://ai.google.dev/api/models
    """
    names = await served_models(gateway)
    models = [describe_for_google(gateway, name) for name in names]
    return json.dumps({"models": models}, ensure_ascii=False).encode()


def describe_for_google(gateway: Gateway, name: str) -> dict[str, Any]:
    """A model or alias; the first backend that serves it tells its window."""
    from nexus_core.dialects.gemini.inbound.models import as_model

    served = (name, resolve_aliases(name, gateway.config.routing.aliases)[-1])
    for model in served:
        for backend in gateway.registry.snapshots():
            if backend.is_on and model in backend.models:
                own_name = backend.models[model]
                return as_model(name, own_name, backend.name, backend.details.get(own_name))
    return as_model(name, name, backend="", details=None)


def find_model(gateway: Gateway, name: str) -> dict[str, Any] | None:
    """The entry of one model or alias; None if no backend serves it."""
    aliases = gateway.config.routing.aliases
    served = (name, resolve_aliases(name, aliases)[-1])
    for model in served:
        for backend in gateway.registry.snapshots():
            if backend.is_on and model in backend.models:
                return _entry(gateway, name, backend.name, model)
    return None


def _entries(gateway: Gateway) -> Iterator[dict[str, Any]]:
    listed: set[str] = set()
    aliases = gateway.config.routing.aliases
    for backend in gateway.registry.snapshots():
        if not backend.is_on:
            continue
        for name in backend.models:
            if name not in listed:
                listed.add(name)
                yield _entry(gateway, name, backend.name, name)
    for alias in aliases:
        if alias in listed or is_glob(alias):  # a glob names no model
            continue
        if (entry := find_model(gateway, alias)) is not None:
            yield entry


def _entry(gateway: Gateway, model: str, backend: str, served: str) -> dict[str, Any]:
    """An entry in OpenAI's shape, with the name that Claude Code shows beside it."""
    return {
        "id": model,
        "object": "model",
        "created": int(gateway.started_at),
        "owned_by": backend,
        "display_name": model if served == model else f"{model} ({served})",
    }
