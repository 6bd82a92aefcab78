"""Price list of the genai-prices package, as rates per token. Nothing is downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from nexus_core import descriptors

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

_FOR_IMPORTS = 8  # descriptors
_PER_MTOK = Decimal(1_000_000)
# The list has no date of its own; its remarks say when prices were looked up.
_CHECKED = r"(?i)\b(?:checked|verified|as of|updated)\b[^.;]{0,40}?(20\d\d-\d\d-\d\d)"


class Rates(msgspec.Struct, frozen=True):
    """US dollars for one token of each kind; None where the kind can't be billed by the token."""

    input: Decimal | None
    output: Decimal | None
    cached: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    reasoning: Decimal | None
    input_audio: Decimal | None
    output_audio: Decimal | None
    request: Decimal = Decimal(0)  # for each request, whatever its tokens

    @classmethod
    def of(
        cls,
        read: Decimal | None,
        written: Decimal | None,
        *,
        cached: Decimal | None = None,
        cache_write: Decimal | None = None,
        cache_write_1h: Decimal | None = None,
        reasoning: Decimal | None = None,
        audio: tuple[Decimal | None, Decimal | None] = (None, None),
    ) -> Rates:
        """The kinds without a rate of their own are billed as plain tokens."""
        cache_write = read if cache_write is None else cache_write
        return cls(
            input=read,
            output=written,
            cached=read if cached is None else cached,
            cache_write=cache_write,
            cache_write_1h=cache_write if cache_write_1h is None else cache_write_1h,
            reasoning=written if reasoning is None else reasoning,
            input_audio=read if audio[0] is None else audio[0],
            output_audio=written if audio[1] is None else audio[1],
        )


class Listed(msgspec.Struct, frozen=True):
    """Entry of the price list for a model at a moment."""

    tiers: tuple[tuple[int, Rates], ...]  # (above so many prompt tokens, rates), the highest first
    by_the_hour: bool  # other prices hold at other times of the day


class PriceList:
    """The list, and how to ask it. `source` names it and the last day its data were checked."""

    def __init__(self, snapshot: DataSnapshot, version: str) -> None:
        self._snapshot = snapshot
        self.source = f"genai-prices {version} ({_checked_on(snapshot.providers)})"

    @property
    def providers(self) -> tuple[str, ...]:
        """The vendors that it has prices of, by its own ids."""
        return tuple(provider.id for provider in self._snapshot.providers)

    def provider_at(self, url: str) -> str | None:
        """The vendor whose API is at `url`; None when the list knows none there."""
        try:
            return self._snapshot.find_provider(None, None, url).id
        except LookupError:
            return None

    def find(self, provider: str, model: str, at: float, service_tier: str | None) -> Listed | None:
        """What a model costs at a moment (seconds since the epoch); None when it is not listed."""
        try:
            _, info = self._snapshot.find_provider_model(model, None, provider, None)
        except LookupError:
            return None
        context = {"service_tier": service_tier} if service_tier else None
        prices = info.get_prices(datetime.fromtimestamp(at, UTC), context)
        starts = sorted({-1, *_tier_starts(prices)}, reverse=True)
        return Listed(
            tuple((start, _rates(prices, start)) for start in starts), _is_by_the_hour(info)
        )


@cache
def load_price_list() -> PriceList:
    """Import the list. Takes a few tenths of a second, once.

    Raises:
        OSError, ImportError: also for want of descriptors; then it may be tried again.
    """
    descriptors.require(_FOR_IMPORTS)
    from genai_prices import __version__
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return PriceList(DataSnapshot(providers=providers, from_auto_update=False), __version__)


def _checked_on(providers: Iterable[Provider]) -> str:
    days: list[str] = []
    for provider in providers:
        remarks = [provider.price_comments, *(model.price_comments for model in provider.models)]
        days += [day for remark in remarks for day in re.findall(_CHECKED, remark or "")]
    return max(days, default="undated")


def _is_by_the_hour(model: ModelInfo) -> bool:
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    conditional = () if isinstance(model.prices, ModelPrice) else model.prices
    constraints = [each.constraint for each in conditional]
    constraints += [variant.constraint for variant in model.price_variants or ()]
    return any(isinstance(constraint, TimeOfDateConstraint) for constraint in constraints)


def _tier_starts(prices: ModelPrice) -> Iterable[int]:
    from genai_prices.types import TieredPrices

    for price in vars(prices).values():
        if isinstance(price, TieredPrices):
            yield from (tier.start for tier in price.tiers)


def _rates(prices: ModelPrice, start: int) -> Rates:
    """The rates for prompts of more than `start` tokens, up to the next tier."""

    def rate(key: str) -> Decimal | None:
        return _per_token(getattr(prices, key), start)

    by_the_token = Rates.of(
        rate("input_mtok"),
        rate("output_mtok"),
        cached=rate("cache_read_mtok"),
        cache_write=rate("cache_write_mtok"),
        cache_write_1h=rate("cache_write_1h_mtok"),
        reasoning=rate("output_reasoning_mtok"),
        audio=(rate("input_audio_mtok"), rate("output_audio_mtok")),
    )
    return replace(by_the_token, request=(rate("requests_kcount") or Decimal(0)) * 1000)


def _per_token(price: Decimal | TieredPrices | None, start: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return None if price is None else price / _PER_MTOK
    reached = [tier.price for tier in price.tiers if tier.start <= start]
    return (reached[-1] if reached else price.base) / _PER_MTOK
