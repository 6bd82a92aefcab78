"""Price an exchange: prices from the config, else from the packaged list."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from operator import attrgetter

from nexus_core.catalog import CLOUD_TYPES, OPENAI_FORMAT, BackendType
from nexus_core.config.schema import PriceConfig
from nexus_core.money.price_list import PriceList, Rates, load_price_list
from nexus_core.observe.events import TokenUsage
from nexus_core.types import NANO, Cost, DialectName

log = logging.getLogger(__name__)

FROM_CONFIG = "config"
REPORTED = "reported"  # by the backend itself, with the answer
_DAY_SECONDS = 86_400
_MAX_KEPT = 10_000  # prices, for models named by strangers
# Under which type each of the list's providers is configured, and which types name a saving.
_TYPE_OF = {name: kind for kind in CLOUD_TYPES for name in (*kind.spec.price_lists, kind.value)}
_MAJOR = tuple(kind for kind in CLOUD_TYPES if kind.spec.is_major)
_counts = attrgetter(*(f.name for f in fields(TokenUsage) if f.name.endswith("_tokens")))


@dataclass(frozen=True, slots=True)
class Price:
    """The rates of one model, by the length of the prompt, and where they are from."""

    source: str
    tiers: tuple[tuple[int, Rates], ...]  # (above so many prompt tokens, rates), the highest first

    def rates(self, prompt_tokens: int) -> Rates:
        return next(rates for above, rates in self.tiers if prompt_tokens > above)


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
        # What the list said, and in which period (its length in seconds, its number) that holds.
        self._kept: dict[tuple[str, str, str | None], tuple[int, int, Price | None]] = {}
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
        name = model.removeprefix("models/")
        for owner in _owners(provider):
            if price := self._configured.get((owner, name)):
                return price
        return self._listed(provider, name, at, service_tier)

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

    def _listed(
        self, provider: str, model: str, at: float, service_tier: str | None
    ) -> Price | None:
        if self.packaged is None:
            return None
        key = (provider, model, service_tier)
        if kept := self._kept.get(key):
            period_seconds, period, price = kept
            if int(at // period_seconds) == period:
                return price
        found = self.packaged.find(provider, model, at, service_tier)
        # Most prices change at midnight at the most, some with the hour.
        period_seconds = 60 if found and found.by_the_hour else _DAY_SECONDS
        price = Price(self.packaged.source, found.tiers) if found else None
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[key] = (period_seconds, int(at // period_seconds), price)
        return price


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
    if min(_counts(usage)) < 0:
        raise ValueError(f"a token count is negative: {usage}")
    price = prices.find(provider, model, at=at, service_tier=service_tier)
    if price is None:
        return None
    usd = _usd(price.rates(usage.prompt_tokens), usage)
    if usd is None:
        return None
    nano_usd = (usd * NANO).to_integral_value(ROUND_HALF_EVEN)
    return Cost(int(nano_usd), price.source)


@dataclass(frozen=True, slots=True)
class Saving:
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
    for kind in _MAJOR:
        if cost := estimate_cost(prices, kind.spec.price_lists[0], asked, usage, at=at):
            return Saving(asked, cost)
    return None


def _usd(rates: Rates, usage: TokenUsage) -> Decimal | None:
    """None where there are tokens of a kind that has no rate."""
    plain_prompt = (
        usage.prompt_tokens
        - usage.cached_tokens
        - usage.cache_write_tokens
        - usage.prompt_audio_tokens
    )
    plain_completion = (
        usage.completion_tokens - usage.reasoning_tokens - usage.completion_audio_tokens
    )
    total = rates.request
    for tokens, rate in (
        (max(0, plain_prompt), rates.input),
        (usage.cached_tokens, rates.cached),
        (usage.cache_write_tokens - usage.cache_write_1h_tokens, rates.cache_write),
        (usage.cache_write_1h_tokens, rates.cache_write_1h),
        (usage.prompt_audio_tokens, rates.input_audio),
        (max(0, plain_completion), rates.output),
        (usage.reasoning_tokens, rates.reasoning),
        (usage.completion_audio_tokens, rates.output_audio),
    ):
        if tokens and rate is None:
            return None
        if tokens and rate:
            total += tokens * rate
    return total


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
