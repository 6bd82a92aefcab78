"""A backend's model and its price, looked up once for as long as it holds."""

from __future__ import annotations

from typing import NamedTuple

from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.money.prices import HeldPrice, Price, Prices
from nexus_core.observe.events import TokenUsage
from nexus_core.tokens.count import tokens_for_one
from nexus_core.types import Cost

_MAX_TIERS = 16  # backends name them


class Estimate(NamedTuple):
    """What an attempt is expected to cost before it is sent."""

    backend: BackendSnapshot
    model: str  # by the backend's own name
    priced: PricedModel
    cost: Cost | None  # None: nobody knows


class PricedModel:
    """One model of a cloud backend under one price list."""

    __slots__ = ("_held", "_models", "_prices", "_type", "_url", "name", "provider", "tokens")

    def __init__(self, prices: Prices, backend: BackendSnapshot, model: str) -> None:
        """
        Args:
            model: by the backend's own name.
        """
        self._prices = prices
        self._type, self._url, self._models = backend.type, backend.url, backend.models
        self.provider = prices.provider(backend.type, backend.url)  # whose prices hold
        self.name = _priced_as(backend, model)  # by which the model has a price
        self.tokens = tokens_for_one(self.name)  # for each that the length of a prompt tells
        self._held: dict[str | None, HeldPrice] = {}  # by service tier

    def holds_for(self, prices: Prices, backend: BackendSnapshot) -> bool:
        """Whether it is still about this price list, and a backend like this."""
        return (
            self._prices is prices
            and self._models is backend.models
            and self._type is backend.type
            and self._url == backend.url
        )

    def price(self, at: float, service_tier: str | None = None) -> Price | None:
        """Its price at a time in seconds since the epoch; None when it is not known."""
        held = self._held.get(service_tier)
        if held is None or not held.since <= at < held.until:
            if len(self._held) >= _MAX_TIERS:
                self._held.clear()
            held = self._held[service_tier] = self._prices.hold(
                self.provider, self.name, at=at, service_tier=service_tier
            )
        return held.price

    def cost(self, usage: TokenUsage, at: float, service_tier: str | None = None) -> Cost | None:
        """What a usage costs: see `estimate_cost`."""
        price = self.price(at, service_tier)
        return None if price is None else price.cost(usage)

    def plain_cost(self, prompt: int, completion: int, at: float) -> Cost | None:
        """What so many plain tokens cost."""
        price = self.price(at)
        return None if price is None else price.plain_cost(prompt, completion)

    def expected_cost(self, prompt: int, completion: int, at: float) -> Cost | None:
        """The same of a prompt whose length tells that it has about so many."""
        price = self.price(at)
        if price is None:
            return None
        return price.plain_cost(int(prompt * self.tokens), completion)


def _priced_as(backend: BackendSnapshot, model: str) -> str:
    """The name by which a backend's model has a price; that of a deployment says nothing."""
    if not backend.type.spec.has_deployments:
        return model
    served = (name for name, upstream in backend.models.items() if upstream == model)
    return next(served, model)
