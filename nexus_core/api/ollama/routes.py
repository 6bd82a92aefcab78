"""Routes of Ollama's API beside inference: /api/version, tags, ps, show; models managed elsewhere.

Models are pulled, made and deleted on the machines of the backends: those routes say how.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nexus_core.api.models import View, view_of
from nexus_core.api.ollama.arrive import served_name
from nexus_core.api.ollama.ask import ask_lists, ask_show, ollama_agents
from nexus_core.api.ollama.entries import (
    Place,
    entry_of,
    own_shown,
    places_of,
    ps_entry,
    served,
    show_answer,
    tag_entry,
)
from nexus_core.background import in_background
from nexus_core.dialects.ollama.bridge.answer import dumped
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.body import checked_model
from nexus_core.errors import InvalidRequestError, ModelNotFoundError, NexusError
from nexus_core.gateway import Gateway
from nexus_core.types import DialectName, JsonObject, is_object

# Of the API that is spoken here. Clients ask for at least: VS Code 0.6.4, Codex 0.13.4 (for
# /v1/responses), Claude Code 0.14 (for /v1/messages).
VERSION = "0.14.0"

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._:/@-]{1,256}")


# What the backends list themselves, by backend and name.
Told: TypeAlias = dict[str, dict[str, JsonObject]]
Known: TypeAlias = dict[str, list[Place]]  # models with the backends that serve them


class ManagedElsewhereError(NexusError):
    """Models are pulled, made and deleted on a backend's machine, not here."""

    status = 501
    code = "managed_elsewhere"
    type = "invalid_request_error"

    @property
    def may_pass(self) -> bool:
        """No retry mends it."""
        return False


def create_router(gateway: Gateway) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api", tags=["inference"])

    @router.get("/version")
    async def ollama_version() -> dict[str, str]:
        """The version of Ollama's API that is spoken here."""
        return {"version": VERSION}

    @router.get("/tags")
    async def ollama_tags(request: Request) -> Response:
        """Models and aliases of the enabled backends, as Ollama lists what it has pulled."""
        told = await ask_lists(gateway, "/api/tags")
        models, since = _served(view_of(gateway, request.scope)), gateway.started_at
        return await _listed(lambda: _tags(models, told, since))

    @router.get("/ps")
    async def ollama_ps(request: Request) -> Response:
        """Models that are in a backend's memory, as far as the backends tell."""
        told = await ask_lists(gateway, "/api/ps")
        models, now = _served(view_of(gateway, request.scope)), gateway.now()
        return await _listed(lambda: _loaded(models, told, now))

    @router.post("/show")
    async def ollama_show(request: Request) -> dict[str, Any]:
        """Details of a model: capabilities, and the context length that is loaded."""
        fields = _fields(await request.body())
        name = served_name(gateway, _name_in(fields))
        places = _places(view_of(gateway, request.scope), name)
        if not places:
            raise ModelNotFoundError(f"model {name!r} not found; GET /api/tags lists the models")
        told = await ask_show(gateway, places, verbose=fields.get("verbose") is True)
        since, own = gateway.started_at, None
        if told is not None:
            own = dict(own_shown(told[1], since)) or None
            places = [told[0], *(place for place in places if place is not told[0])]
        return show_answer(name, places, own, since)

    @router.post("/pull")
    async def ollama_pull(request: Request) -> Response:
        """Success for a model that is served here; else how to pull it on a backend's machine."""
        fields = _fields(await request.body())
        name = served_name(gateway, _name_in(fields))
        if not _places(view_of(gateway, request.scope), name):
            raise ManagedElsewhereError(_how(gateway, "pull", name))
        is_whole = fields.get("stream") is False
        kind = "application/json" if is_whole else "application/x-ndjson"
        return Response(b'{"status":"success"}\n', media_type=kind)

    @router.post("/push", include_in_schema=False)
    async def ollama_push(request: Request) -> Response:
        """Refused: says how to do it on a backend's machine."""
        name = _name_in(_fields(await request.body()))
        raise ManagedElsewhereError(_how(gateway, "push", name))

    @router.post("/create", include_in_schema=False)
    async def ollama_create(request: Request) -> Response:
        """Refused: says how to do it on a backend's machine."""
        name = _name_in(_fields(await request.body()))
        raise ManagedElsewhereError(_how(gateway, "create", f"{name} -f Modelfile"))

    @router.post("/copy", include_in_schema=False)
    async def ollama_copy(request: Request) -> Response:
        """Refused: an alias gives a model another name here."""
        fields = _fields(await request.body())
        source, target = (_plain(fields.get(name)) for name in ("source", "destination"))
        raise ManagedElsewhereError(
            f"{_how(gateway, 'cp', f'{source} {target}')}; or give it another name here: "
            f'[routing.aliases] "{target}" = "{source}"'
        )

    @router.delete("/delete", include_in_schema=False)
    async def ollama_delete() -> Response:
        """Refused: says how to do it on a backend's machine."""
        raise ManagedElsewhereError(_how(gateway, "rm", "NAME"))

    @router.head("/version", operation_id="ollama_has_version")
    @router.head("/tags", operation_id="ollama_has_tags")
    async def ollama_is_there() -> Response:
        """What some clients ask to see whether an Ollama is there."""
        return Response(media_type="application/json")

    @router.head("/blobs/{digest}", include_in_schema=False)
    async def ollama_has_blob(digest: str) -> Response:
        """No file is kept here; who then sends it is told so."""
        return Response(status_code=404)

    @router.post("/blobs/{digest}", include_in_schema=False)
    async def ollama_blob(digest: str) -> Response:
        """Refused: files for a new model go to the backend that is to have it."""
        raise ManagedElsewhereError(_how(gateway, "create", "NAME -f Modelfile"))

    return router


async def _listed(make: Callable[[], list[JsonObject]]) -> Response:
    """A list of models, made in a thread: thousands take longer than a stream should have to wait.

    `make` reads what does not change.
    """
    body = await in_background(lambda: dumped({"models": make()}))
    return Response(body, media_type="application/json")


def _served(view: View) -> Known:
    known = served(view.backends, view.aliases)
    return {name: places for name, places in known.items() if view.shows(name)}


def _places(view: View, name: str) -> list[Place]:
    return places_of(name, view.backends, view.aliases) if view.shows(name) else []


def _tags(known: Known, told: Told, since: float) -> list[JsonObject]:
    return [tag_entry(name, places, _own(places, told), since) for name, places in known.items()]


def _loaded(known: Known, told: Told, now: float) -> list[JsonObject]:
    models: list[JsonObject] = []
    for name, places in known.items():
        for place in places:
            own = entry_of(place, told.get(place.backend.name, {}))
            if own is not None or (place.is_loaded and place.backend.name not in told):
                models.append(ps_entry(name, place, own, now))
                break
    return models


def _own(places: list[Place], told: Told) -> JsonObject | None:
    for place in places:
        if (own := entry_of(place, told.get(place.backend.name, {}))) is not None:
            return own
    return None


def _fields(body: bytes) -> JsonObject:
    """
    Raises:
        InvalidRequestError: it is not a JSON object.
    """
    try:
        fields = parse_json(body)
    except ValueError as error:
        raise InvalidRequestError(f"the body is not valid JSON: {error}") from error
    if not is_object(fields):
        raise InvalidRequestError("the body must be a JSON object")
    return fields


def _name_in(fields: JsonObject) -> str:
    """The model's name; `name` is what older clients call it.

    Raises:
        InvalidRequestError: there is none, or it is no name.
    """
    return checked_model({"model": fields.get("model") or fields.get("name")})


def _plain(name: object) -> str:
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "NAME"


def _how(gateway: Gateway, command: str, arguments: str) -> str:
    """How to do it where the models are."""
    words = " ".join(_plain(one) if not one.startswith("-") else one for one in arguments.split())
    agents = ollama_agents(gateway)
    for backend in gateway.registry.snapshots():
        if DialectName.OLLAMA in backend.type.spec.apis or backend.name in agents:
            return (
                f"Nexus does not keep models; on the machine of backend {backend.name} "
                f"({backend.url}) run: ollama {command} {words}"
            )
    return (
        "Nexus does not keep models, and none of its backends is an Ollama; "
        "GET /api/tags lists the models that are served"
    )
