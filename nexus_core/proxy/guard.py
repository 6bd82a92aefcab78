"""The zone guard: checks the privacy zone again at the moment of sending."""

from __future__ import annotations

from msgspec.structs import replace

from nexus_core.errors import NexusError
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import Choice
from nexus_core.routing.stages import is_in_allowed_zone


def check_zone(need: Requirements, choice: Choice) -> None:
    """Check the privacy zone right before sending.

    Raises:
        NexusError: the request, or the fallback that was chosen for it, is restricted.
    """
    wanted = need
    if choice.model != need.model and need.fallbacks:
        wanted = next((one for one in need.fallbacks if one.model == choice.model), need)
    for bound in (need,) if wanted is need else (need, wanted):
        asked = bound if bound.model == choice.model else replace(bound, model=choice.model)
        if is_in_allowed_zone(asked, choice.backend) is not None:
            name = choice.backend.name
            raise NexusError(f'restricted request stopped before it reached open backend "{name}"')
