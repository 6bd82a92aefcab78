"""Price an exchange: prices from the config, else from the packaged list."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from nexus_core.catalog import CLOUD_TYPES, OPENAI_FORMAT, BackendType
from nexus_core.config.schema import PriceConfig
from nexus_core.money.price_list import PriceList, Rates, load_price_list
from nexus_core.money.tariff import Tariff
from nexus_core.observe.events import TokenUsage
from nexus_core.types import Cost, DialectName

log = logging.getLogger(__name__)

FROM_CONFIG = "config"
REPORTED = "reported"  # by the backend itself, with the answer
_DAY_SECONDS = 86_400
_MAX_KEPT = 10_000  # prices, for models named by strangers
# Under which type each of the list's providers is configured, and which types name a saving.
_TYPE_OF = {name: kind for kind in CLOUD_TYPES for name in (*kind.spec.price_lists, kind.value)}
_MAJOR = tuple(kind for kind in CLOUD_TYPES if kind.spec.is_major)
_ALWAYS = (float("-inf"), float("inf"))
_NEVER = (0.0, 0.0)


class Price:
    """What one model costs, by the length of the prompt, and where that is from."""

    __slots__ = ("_tariffs", "source")

    def __init__(self, source: str, tiers: tuple[tuple[int, Rates], ...]) -> None:
        """
        Args:
            tiers: (above so many prompt tokens, rates), the highest first.
        """
        self.source = source
        self._tariffs = tuple((above, Tariff(rates)) for above, rates in tiers)

    def cost(self, usage: TokenUsage) -> Cost | None:
        """What a usage costs; None where it has tokens of a kind that has no rate.

        Raises:
            ValueError: a token count is negative.
        """
        return self._cost(self._tariff(usage.prompt_tokens).nano_usd(usage))

    def plain_cost(self, prompt: int, completion: int) -> Cost | None:
        """The same for so many plain tokens."""
        return self._cost(self._tariff(prompt).plain_nano_usd(prompt, completion))

    def _cost(self, nano_usd: int | None) -> Cost | None:
        return None if nano_usd is None else Cost(nano_usd, self.source)

    def _tariff(self, prompt_tokens: int) -> Tariff:
        for above, tariff in self._tariffs:
            if prompt_tokens > above:
                return tariff
        raise ValueError(f"a token count is negative: {prompt_tokens}")


class HeldPrice(NamedTuple):
    """A price, and from when until when it holds, in seconds since the epoch."""

    price: Price | None  # None: it is not known
    since: float
    until: float


class _AskedPrices(NamedTuple):
    prices: tuple[Price, ...]
    since: float
    until: float


class Prices:
    """Prices of models; each lookup is cached.

    Before `load`, only the prices of the config are known.
    """

    def __init__(self, configured: Mapping[str, Mapping[str, PriceConfig]]) -> None:
        self._configured = {
            (provider, model): _configured(price)
            for provider, models in configured.items()
            for model, price in models.items()
        }
        self.packaged: PriceList | None = None  # None: not loaded
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, str | None], HeldPrice] = {}  # what the list said
        self._asked: dict[str, _AskedPrices] = {}  # what local models stood for
