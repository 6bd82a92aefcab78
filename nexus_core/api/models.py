"""GET /v1/models: models and aliases served by the enabled backends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from nexus_core.aliases import is_glob, resolve_aliases
from nexus_core.api.asgi.messages import KEY, Scope, header
from nexus_core.errors import ModelNotFoundError
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.gateway import Gateway
from nexus_core.near_names import near_names, shortlist

if TYPE_CHECKING:
    from nexus_core.keys.held import HeldKey

_GOOGLES = (b"x-goog-api-key", b"x-goog-api-client")  # that Google's clients send
_SLICE = 500  # entries: about a millisecond of the loop


class View:
    """The models that a client may use: all that are served, or what its key lets it see."""

    def __init__(self, gateway: Gateway, key: HeldKey | None) -> None:
        self.gateway = gateway
        self._key = key

    @property
    def aliases(self) -> Mapping[str, str]:
        """As configured."""
        return self.gateway.config.routing.aliases

    @property
    def backends(self) -> tuple[BackendSnapshot, ...]:
        """Those that its requests may go to, as far as zone and tier go."""
        all_of_them, key = self.gateway.registry.snapshots(), self._key
        if key is None:
            return all_of_them
        return tuple(backend for backend in all_of_them if key.sees(backend))

    def shows(self, name: str) -> bool:
        """Whether it may ask for a model."""
        return self._key is None or self._key.may_ask(resolve_aliases(name, self.aliases))


def view_of(gateway: Gateway, scope: Scope) -> View:
    """What the client of a request that was let in may use."""
    return View(gateway, scope.get(KEY))


async def list_models(view: View) -> bytes:
    """The answer of GET /v1/models as JSON, in the order of the backends, aliases last.

    Made in slices: ten thousand entries take longer than a stream should have to wait.
    """
    parts: list[str] = []
    entries = _entries(view)
    while batch := list(islice(entries, _SLICE)):
        parts += (json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in batch)
        await asyncio.sleep(0)
    return f'{{"object":"list","data":[{",".join(parts)}]}}'.encode()


async def served_models(view: View) -> list[str]:
    """The same names alone."""
    names: list[str] = []
    entries = _entries(view)
    while batch := list(islice(entries, _SLICE)):
        names += (entry["id"] for entry in batch)
        await asyncio.sleep(0)
    return names


async def not_served(view: View, name: str, listing: str) -> ModelNotFoundError:
    """The error for a name that no backend serves; `listing` is the path of the list of models."""
    near = near_names(name, await shortlist(name, await served_models(view)))
    hint = f"did you mean {' or '.join(near)}?" if near else f"GET {listing} lists the models"
    return ModelNotFoundError(f"the model {name!r} is not served here; {hint}", param="model")


async def list_for_anthropic(view: View) -> bytes:
    """The same models as Anthropic's clients read them, all on one page.

    https://platform.claude.com/docs/en/api/models-list
    """
    listed = json.loads(await list_models(view))["data"]
    data = [describe_for_anthropic(entry) for entry in listed]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    page = {"data": data, "has_more": False, "first_id": first, "last_id": last}
    return json.dumps(page).encode()


def describe_for_anthropic(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The same model as Anthropic's clients read it."""
    return {
        "type": "model",
        "id": entry["id"],
        "display_name": entry["display_name"],
        "created_at": datetime.fromtimestamp(entry["created"], UTC).isoformat(),
    }


def is_googles(scope: Scope) -> bool:
    """Whether a client of Google's asks, which reads no other shape."""
    return any(header(scope, name) is not None for name in _GOOGLES)


async def list_for_google(view: View) -> bytes:
    """The same models as Google's clients read them, all on one page.

    https://ai.google.dev/api/models
    """
    names = await served_models(view)
    models = [describe_for_google(view, name) for name in names]
    return json.dumps({"models": models}, ensure_ascii=False).encode()


def describe_for_google(view: View, name: str) -> dict[str, Any]:
    """A model or alias; the first backend that serves it tells its window."""
    from nexus_core.dialects.gemini.inbound.models import as_model

    served = (name, resolve_aliases(name, view.aliases)[-1])
    for model in served:
        for backend in view.backends:
            if backend.is_on and model in backend.models:
                own_name = backend.models[model]
                return as_model(name, own_name, backend.name, backend.details.get(own_name))
    return as_model(name, name, backend="", details=None)


def find_model(view: View, name: str) -> dict[str, Any] | None:
    """The entry of one model or alias; None if no backend serves it."""
    if not view.shows(name):
        return None
    served = (name, resolve_aliases(name, view.aliases)[-1])
    for model in served:
        for backend in view.backends:
            if backend.is_on and model in backend.models:
                return _entry(view.gateway, name, backend.name, model)
    return None


def _entries(view: View) -> Iterator[dict[str, Any]]:
    listed: set[str] = set()
    aliases = view.aliases
    for backend in view.backends:
        if not backend.is_on:
            continue
        for name in backend.models:
            if name not in listed and view.shows(name):
                listed.add(name)
                yield _entry(view.gateway, name, backend.name, name)
    for alias in aliases:
        if alias in listed or is_glob(alias):  # a glob names no model
            continue
        if (entry := find_model(view, alias)) is not None:
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
