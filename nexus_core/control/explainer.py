"""Explain the route of a request: the backend it would go to now, and why; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nexus_core.control.live_config import LiveConfig
from nexus_core.dialects.request import Request
from nexus_core.errors import UnsupportedFieldsError
from nexus_core.fleet.snapshot import first_byte_seconds
from nexus_core.near_names import shortlist
from nexus_core.providers.prepared import prepared
from nexus_core.proxy.in_flight import ProxyParts
from nexus_core.routing.context import ContextBuilder
from nexus_core.routing.explain import (
    Chosen,
    Explanation,
    Question,
    TranslationReport,
    explain,
)
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.refusal import asked_name, is_unknown
from nexus_core.routing.requirements import read_requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.what_if import with_usable

if TYPE_CHECKING:
    from nexus_core.keys.held import HeldKey


class Explainer:
    """Explainer of routes, with the same routing context as real decisions."""

    def __init__(
        self,
        live: LiveConfig,
        parts: ProxyParts,
        contexts: ContextBuilder,
        key: Callable[[str], HeldKey | None] = lambda _: None,
    ) -> None:
        """`key` gives the created client key of a name."""
        self._live = live
        self._key = key
        self._parts = parts
        self._contexts = contexts

    async def explain(self, question: Question, request: Request | None = None) -> Explanation:
        """Explain the route of such a request; nothing is sent and nothing counted.

        Args:
            request: a whole request, to report its translation for the selected backend.

        Raises:
            ModelNotAllowedError: the client's key may not use the model.
        """
        # As the forwarder does: what is spent counts.
        await self._parts.cost_tracker.ready(wants_prices=False)
        decision = self._foresee(question)
        if not decision.order and not all(drop.backend.models_known for drop in decision.dropped):
            await self._parts.models_known()  # as the forwarder does
            decision = self._foresee(question)
        near: Sequence[str] = ()
        if is_unknown(decision):
            near = await shortlist(asked_name(decision), KnownNames(decision.context))
        explanation = explain(decision, near)
        chosen = explanation.chosen
        if chosen is None:
            return explanation
        backend = self._live.registry.snapshot(chosen.backend)
        cost = await self._parts.cost_tracker.expected_cost(backend, chosen.model, question.demand)
        told = replace(
            chosen,
            first_byte_timeout_seconds=first_byte_seconds(backend, self._live.config.server),
            estimated_usd=None if cost is None else float(cost.usd),
        )
        explanation = replace(explanation, chosen=told)
        if request is None:
            return explanation
        translation = await self._translation(request, chosen)
        return replace(explanation, translation=translation)

    def _foresee(self, question: Question) -> RouteDecision:
        routing, client = self._live.config.routing, question.client
        key = None if client is None else self._key(client)
        read = read_requirements if key is None else key.need
        need = read(question.model, question.hints, routing)
        context = self._contexts.build(client)
        return route(need.asking(question.demand), with_usable(context, question.usable))

    async def _translation(self, request: Request, chosen: Chosen) -> TranslationReport | None:
        try:
            agent = self._parts.agents[chosen.backend]
            call = await prepared(agent, request, chosen.model)
        except UnsupportedFieldsError as error:
            return TranslationReport(unsupported=error.fields)
        made = call.translation
        if made is None:
            return None
        return TranslationReport(made.dropped, made.ignored, made.changed)
