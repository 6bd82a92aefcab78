"""Known model names: served models and aliases, for lists and suggestions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import msgspec

from nexus_core.aliases import is_glob
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements, RoutingHints, read_requirements
from nexus_core.routing.stages import suits


class KnownNames(msgspec.Struct, frozen=True):
    """All served models and exact aliases, each once; computed on iteration."""

    context: RoutingContext

    def __iter__(self) -> Iterator[str]:
        served = (backend.models for backend in self.context.fleet if backend.is_on)
        aliases = self.context.strategy.routing.aliases
        exact = (name for name in aliases if not is_glob(name))
        return iter(dict.fromkeys(chain(*served, exact)))

    def usable_by(self, need: Requirements) -> Callable[[str], bool]:
        """Whether the same request could ever be served if it asked for a name.

        That is for a backend that is on and may see it: a restricted request is not pointed to the
        cloud's models.
        """
        hints = RoutingHints(zone=need.zone, min_tier=need.min_tier, backend=need.backend)
        fleet, routing = self.context.fleet, self.context.strategy.routing

        def is_usable(name: str) -> bool:
            other = read_requirements(name, hints, routing).asking(need.demand)
            return any(
                backend.is_on and suits(wanted, backend)
                for wanted in other.candidate_models
                for backend in fleet
            )

        return is_usable
