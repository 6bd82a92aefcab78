"""Price an exchange: prices from the config, else from the packaged list."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import NamedTuple

import msgspec

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

    __slots__ = ("_only", "_tariffs", "source")

    def __init__(self, source: str, tiers: tuple[tuple[int, Rates], ...]) -> None:
        """
        Args:
            tiers: (above so many prompt tokens, rates), the highest first.
        """
        self.source = source
        self._tariffs = tuple((above, Tariff(rates)) for above, rates in tiers)
        # Of most models, whatever the length.
        self._only = self._tariffs[0][1] if len(tiers) == 1 and tiers[0][0] < 0 else None

    def cost(self, usage: TokenUsage) -> Cost | None:
        """What a usage costs; None where it has tokens of a kind that has no rate.

        Raises:
            ValueError: a token count is negative.
        """
        nano_usd = (self._only or self._tariff(usage.prompt_tokens)).nano_usd(usage)
        return None if nano_usd is None else Cost(nano_usd, self.source)

    def plain_cost(self, prompt: int, completion: int) -> Cost | None:
        """The same for so many plain tokens."""
        nano_usd = (self._only or self._tariff(prompt)).plain_nano_usd(prompt, completion)
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
        self._warned: set[tuple[str, str]] = set()

    @property
    def is_loaded(self) -> bool:
        return self.packaged is not None

    def load(self) -> None:
        """Import the packaged list, which takes a tenth of a second or two: call it in a thread.

        A second call waits for the first and does nothing.
        """
        with self._lock:
            if self.packaged is None:
                self.packaged = load_price_list()

    def configured(self, prices: Mapping[str, Mapping[str, PriceConfig]]) -> Prices:
        """The same list with other prices of the config."""
        other = Prices(prices)
        other.packaged, other._warned = self.packaged, self._warned
        return other

    def provider(self, backend_type: BackendType, url: str) -> str:
        """Whose prices hold for a backend, by the list's id; its type where the list has none.

        Many vendors speak OpenAI's format: for them the URL tells, where the list knows it.
        """
        spec = backend_type.spec
        own = spec.price_lists[0] if spec.price_lists else backend_type.value
        if spec.is_cloud and spec.dialect is DialectName.OPENAI_CHAT and self.packaged is not None:
            return self.packaged.provider_at(url) or own
        return own

    def find(
        self, provider: str, model: str, *, at: float, service_tier: str | None = None
    ) -> Price | None:
        """The price of a model by the provider's own name of it; None when it is not known.

        Of the config, the table named by the list's id counts, else that of the type; and
        [pricing.openai] also holds for the other vendors that speak its format.
        """
        return self.hold(provider, model, at=at, service_tier=service_tier).price

    def hold(
        self, provider: str, model: str, *, at: float, service_tier: str | None = None
    ) -> HeldPrice:
        """The same, and for how long it may be kept."""
        name = model.removeprefix("models/")
        for owner in _owners(provider):
            if price := self._configured.get((owner, name)):
                return HeldPrice(price, *_ALWAYS)
        return self._listed(provider, name, at, service_tier)

    def asked_prices(self, model: str, *, at: float) -> tuple[Price, ...]:
        """The prices of a model by the name that clients use, at the vendors that may have it."""
        kept = self._asked.get(model)
        if kept is None or not kept.since <= at < kept.until:
            if len(self._asked) >= _MAX_KEPT:
                self._asked.clear()
            held = [self.hold(kind.spec.price_lists[0], model, at=at) for kind in _MAJOR]
            kept = self._asked[model] = _AskedPrices(
                tuple(one.price for one in held if one.price is not None),
                max(one.since for one in held),
                min(one.until for one in held),
            )
        return kept.prices

    def warn_once(self, provider: str, model: str) -> None:
        """Say that a model has no price, once per model."""
        if (provider, model) in self._warned or len(self._warned) >= _MAX_KEPT:
            return
        self._warned.add((provider, model))
        log.warning(
            'no price is known for %s model "%s": its requests count as unpriced '
            "unless the backend reports their cost; set it in [pricing.%s]",
            provider,
            model,
            _TYPE_OF.get(provider, OPENAI_FORMAT),
        )

    def _listed(self, provider: str, model: str, at: float, service_tier: str | None) -> HeldPrice:
        if self.packaged is None:
            return HeldPrice(None, *_NEVER)
        key = (provider, model, service_tier)
        kept = self._kept.get(key)
        if kept is not None and kept.since <= at < kept.until:
            return kept
        found = self.packaged.find(provider, model, at, service_tier)
        # Most prices change at midnight at the most, some with the hour.
        seconds = 60 if found and found.by_the_hour else _DAY_SECONDS
        since = at // seconds * seconds
        price = Price(self.packaged.source, found.tiers) if found else None
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        kept = self._kept[key] = HeldPrice(price, since, since + seconds)
        return kept


@cache
def _owners(provider: str) -> tuple[str, ...]:
    """Whose tables of the config may name a price of the list's provider; the first that does."""
    kind = _TYPE_OF.get(provider, OPENAI_FORMAT)
    if kind.spec.dialect is not DialectName.OPENAI_CHAT:  # no other vendor is reached by these
        return (provider,)
    return tuple(dict.fromkeys((provider, kind.value, OPENAI_FORMAT.value)))


def estimate_cost(
    prices: Prices,
    provider: str,
    model: str,
    usage: TokenUsage,
    *,
    at: float,
    service_tier: str | None = None,
) -> Cost | None:
    """Price one exchange: the real cost of a reported usage, the estimate of a guessed one.

    Cached, audio and reasoning tokens count at their own prices, and at those of plain tokens where
    the provider has none for them. Cached tokens are taken to be text.

    Args:
        provider: see `Prices.provider`.
        model: by the provider's own name.
        at: seconds since the epoch; prices change.
        service_tier: as the answer says, such as "flex" or "priority".

    Returns:
        None when the model's price is not known: an unknown price must never read as free.

    Raises:
        ValueError: a token count is negative.
    """
    price = prices.find(provider, model, at=at, service_tier=service_tier)
    return None if price is None else price.cost(usage)


class Saving(msgspec.Struct, frozen=True):
    """Estimated saving: the cloud price of a local answer."""

    model: str
    cost: Cost


def savings(
    prices: Prices, asked: str, served: str, usage: TokenUsage, *, at: float
) -> Saving | None:
    """Estimate the price of the cloud model that the client asked for.

    Args:
        asked: the model as the client asked.
        served: the local backend's own name of the model that answered instead.

    Returns:
        None unless another model than the asked one answered, and the asked one has a price.
    """
    if asked == served:
        return None
    for price in prices.asked_prices(asked, at=at):
        if (cost := price.cost(usage)) is not None:
            return Saving(asked, cost)
    return None


def _configured(price: PriceConfig) -> Price:
    read, written = _per_token(price.input_per_1k), _per_token(price.output_per_1k)
    cached, cache_write = price.cached_input_per_1k, price.cache_write_per_1k
    rates = Rates.of(
        read,
        written,
        cached=None if cached is None else _per_token(cached),
        cache_write=None if cache_write is None else _per_token(cache_write),
    )
    return Price(FROM_CONFIG, ((-1, rates),))


def _per_token(per_1k: float) -> Decimal:
    return Decimal(repr(per_1k)) / 1000  # as it was written, not as it is stored
