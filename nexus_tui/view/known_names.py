"""Names that a filter may hold: of models, backends, keys and agents that there are or were."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nexus_tui.sources.base import EventSource
from nexus_tui.view.filter.language import Names
from nexus_tui.view.model import ViewModel


def known_names(
    source: EventSource, view: ViewModel, told: Callable[[], Iterable[str]] = tuple
) -> Names:
    """Names by filter key, collected when they are asked for; some milliseconds for a full list.

    Args:
        told: the client keys that were told of.
    """

    def models() -> Iterable[str]:
        for backend in source.backends():
            yield from backend.models
            yield from backend.models.values()
        yield from {name for row in view.rows for name in (row.asked_model, row.served_model or "")}

    def backends() -> Iterable[str]:
        yield from (backend.name for backend in source.backends())
        yield from {row.backend or "" for row in view.rows}

    def keys() -> Iterable[str]:
        yield from (key.name for key in source.config.auth.api_keys)
        yield from told()
        yield from {row.client or "" for row in view.rows}

    def agents() -> Iterable[str]:
        return {row.origin.agent or "" for row in view.rows}

    def sessions() -> Iterable[str]:
        origins = {row.origin for row in view.rows}
        yield from {one or "" for origin in origins for one in (origin.session, origin.subagent)}

    def replicas() -> Iterable[str]:
        if source.fleet is not None:
            yield from (replica.name for replica in source.fleet.replicas)
        yield from {row.replica or "" for row in view.rows}

    return {
        "replica": replicas,
        "model": models,
        "backend": backends,
        "key": keys,
        "agent": agents,
        "session": sessions,
    }
