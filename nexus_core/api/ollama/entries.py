"""What Nexus knows of its models, as Ollama tells it: entries of lists, and details of one. Pure.

Where a backend is an Ollama itself, its own words come first: size, digest, family.
https://docs.ollama.com/api/tags, /api/ps and /api-reference/show-model-details
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from nexus_core.aliases import is_glob, resolve_aliases
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.types import Capability, JsonObject, is_list, is_object

# By their names: servers that don't say what a model can do list these like any other.
_EMBEDS = re.compile(r"embed|(?:^|[/:_-])(?:bge|gte|e5|minilm)(?:[-:_]|$)", re.IGNORECASE)
# Ollama's words; what Nexus does not know of a model is not claimed: thinking, insert.
_WORDS = (
    ("completion", Capability.CHAT),
    ("vision", Capability.VISION),
    ("tools", Capability.TOOLS),
)
_FOREVER = timedelta(days=365 * 100)  # clients say so from 20 years on


class Place(msgspec.Struct, frozen=True):
    """A backend that serves a model, and the model's name there."""

    backend: BackendSnapshot
    upstream: str

    @property
    def window(self) -> int | None:
        """Tokens of the loaded context window, where it is known."""
        details = self.backend.details.get(self.upstream)
        return None if details is None else details.context_tokens

    @property
    def is_loaded(self) -> bool:
        """Whether the model is known to be in memory."""
        details = self.backend.details.get(self.upstream)
        return details is not None and details.is_loaded is True

    @property
    def lacks(self) -> frozenset[Capability]:
        """What is known to be missing."""
        details = self.backend.details.get(self.upstream)
        own = self.backend.type.lacks
        return own if details is None else own | details.lacks


def served(
    backends: tuple[BackendSnapshot, ...], aliases: Mapping[str, str]
) -> dict[str, list[Place]]:
    """Models with the backends that serve them, in the order of the backends, aliases last.

    A short name ("llama3") is left out beside its long one ("llama3:latest").
    """
    found: dict[str, list[Place]] = {}
    for backend in backends:
        if not backend.is_on:
            continue
        tag = backend.type.spec.implied_tag
        for name, upstream in backend.models.items():
            if tag is None or f"{name}{tag}" not in backend.models:
                found.setdefault(name, []).append(Place(backend, upstream))
    for alias in aliases:
        if alias in found or is_glob(alias):  # a glob names no model
            continue
        if places := places_of(alias, backends, aliases):
            found[alias] = places
    return found


def places_of(
    name: str, backends: tuple[BackendSnapshot, ...], aliases: Mapping[str, str]
) -> list[Place]:
    """The backends that serve a model, asked for by its own name or by an alias."""
    for model in dict.fromkeys((name, resolve_aliases(name, aliases)[-1])):
        places = [
            Place(backend, backend.models[model])
            for backend in backends
            if backend.is_on and model in backend.models
        ]
        if places:
            return places
    return []


def tag_entry(name: str, places: list[Place], own: JsonObject | None, since: float) -> JsonObject:
    """One model of GET /api/tags.

    Args:
        own: the entry of the Ollama that serves it.
        since: seconds since the epoch that stand for its date, where none is known.
    """
    first = places[0]
    entry: JsonObject = {
        "name": name,
        "model": name,
        "modified_at": _date(since),
        "size": 0,
        "digest": _digest(name, first),
        "details": _details(first),
    }
    if own is not None:
        entry |= own | {"name": name, "model": name}
    elif first.backend.type.is_cloud:
        entry["remote_model"] = first.upstream
    return entry


def ps_entry(name: str, place: Place, own: JsonObject | None, now: float) -> JsonObject:
    """One model of GET /api/ps: it is in memory."""
    entry: JsonObject = {
        "name": name,
        "model": name,
        "size": 0,
        "digest": _digest(name, place),
        "details": _details(place),
        "expires_at": (datetime.fromtimestamp(now, UTC) + _FOREVER).isoformat(),
        "size_vram": 0,
    }
    if place.window is not None:
        entry["context_length"] = place.window
    return entry if own is None else entry | own | {"name": name, "model": name}


def show_answer(name: str, places: list[Place], own: JsonObject | None, since: float) -> JsonObject:
    """The answer of POST /api/show; its context length is that of the loaded window."""
    first = places[0]
    answer: JsonObject = {
        "modelfile": f"# {name} is served by backend {first.backend.name}\n",
        "parameters": "",
        "template": "",
        "details": _details(first),
        "model_info": {"general.architecture": _architecture(first)},
        "capabilities": _capabilities(name, places),
        "modified_at": _date(since),
    }
    if own is not None:
        answer |= own
    info = answer.get("model_info")
    answer["model_info"] = info = dict(info) if is_object(info) else {}
    windows = [place.window for place in places if place.window is not None]
    if windows:
        info[f"{info.get('general.architecture')}.context_length"] = max(windows)
    return answer


def entries_by_name(answer: object) -> dict[str, JsonObject]:
    """The models of an Ollama's own list, by name."""
    listed = answer.get("models") if is_object(answer) else None
    return {
        name: entry
        for entry in (listed if is_list(listed) else ())
        if is_object(entry) and isinstance(name := entry.get("name"), str)
    }


def entry_of(place: Place, entries: Mapping[str, JsonObject]) -> JsonObject | None:
    """The entry of a model in such a list, which has long names only."""
    tag = place.backend.type.spec.implied_tag or ":latest"
    return entries.get(place.upstream) or entries.get(f"{place.upstream}{tag}")


def own_shown(answer: object, since: float) -> Iterator[tuple[str, object]]:
    """The fields of an Ollama's own answer to POST /api/show."""
    if is_object(answer) and is_object(answer.get("details")):
        yield from answer.items()
        if not answer.get("modified_at"):
            yield "modified_at", _date(since)


def _capabilities(name: str, places: list[Place]) -> list[str]:
    lacks = frozenset[Capability].intersection(*(place.lacks for place in places))
    embeds = Capability.EMBEDDINGS not in lacks
    if Capability.CHAT in lacks or any(map(_EMBEDS.search, (name, places[0].upstream))):
        return ["embedding"] if embeds else []
    return [word for word, what in _WORDS if what not in lacks]


def _architecture(place: Place) -> str:
    return str(place.backend.type)


def _details(place: Place) -> JsonObject:
    family = _architecture(place)
    return {
        "parent_model": "",
        "format": "",
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": "",
    }


def _digest(name: str, place: Place) -> str:
    """A number for the model that stays the same: clients show its first twelve digits."""
    told = f"{name}\n{place.backend.name}\n{place.upstream}"
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
