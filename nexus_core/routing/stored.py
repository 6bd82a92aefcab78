"""Answers that a backend keeps: asked for only where every turn is sure to reach the same one."""

from __future__ import annotations

from collections.abc import Iterable

from nexus_core.dialects.request import Demand
from nexus_core.errors import InvalidRequestError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.requirements import Requirements
from nexus_core.types import Capability


def check_stored(need: Requirements, demand: Demand, backends: Iterable[BackendSnapshot]) -> None:
    """Refuse what refers to stored answers, unless one backend is named or the only one.

    Raises:
        InvalidRequestError: several backends serve the model: none knows the others' answers.
    """
    place = demand.place_of(Capability.STORED_RESPONSES)
    if place is None or need.backend is not None:
        return
    serving = [backend.name for backend in backends if need.model in backend.models]
    if len(serving) > 1:
        raise InvalidRequestError(
            f"{place}: Nexus keeps no responses, and {', '.join(serving)} serve the model; send"
            " the whole conversation as input, and no store, or name an OpenAI backend with"
            " X-Nexus-Backend",
            param=place,
        )
