"""Read the cost and service tier reported by a vendor, exact to the nano-dollar. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from nexus_core.types import NANO, is_object

MAX_COST_USD = 100_000  # of one request; more is rubbish

_TICKS_PER_NANO_USD = 10  # https://docs.x.ai/developers/cost-tracking: 10**10 ticks to a dollar


def reported_nano_usd(usage: Mapping[str, object]) -> int | None:
    """The cost reported by the vendor, in nano-dollars; None where it reports none.

    https://openrouter.ai/docs/use-cases/usage-accounting: `cost`, and where the upstream vendor
    bills a key of one's own (`is_byok`) `cost_details.upstream_inference_cost` beside it.
    https://docs.perplexity.ai/api-reference/chat-completions-post: `cost.total_cost`.
    https://docs.x.ai/developers/cost-tracking: `cost_in_usd_ticks`.
    https://deepinfra.com/docs/openai_api: `estimated_cost`, its own price of the real usage.
    """
    cost = usage.get("cost")
    if is_object(cost):
        return _nano_usd(cost.get("total_cost"))
    charged = _nano_usd(cost)
    if charged is not None:
        return _with_upstream(usage, charged)
    ticks = usage.get("cost_in_usd_ticks")
    if isinstance(ticks, int) and not isinstance(ticks, bool):
        return _nano_usd(Decimal(ticks) / (_TICKS_PER_NANO_USD * NANO)) if ticks >= 0 else None
    return _nano_usd(usage.get("estimated_cost"))


def read_service_tier(fields: Mapping[str, object]) -> str | None:
    """The service tier reported in an answer: each tier has its own prices."""
    tier = fields.get("service_tier")
    return tier if isinstance(tier, str) else None


def _with_upstream(usage: Mapping[str, object], charged: int) -> int | None:
    """The cost plus the upstream vendor's own bill; None where that bill is not reported.

    Without a key of one's own the upstream cost may be reported as well, and is part of `cost`.
    """
    details, own_key = usage.get("cost_details"), usage.get("is_byok")
    reported = details.get("upstream_inference_cost") if is_object(details) else None
    upstream = _nano_usd(reported)
    if own_key is True:
        return None if upstream is None else charged + upstream
    if own_key is None and upstream is not None and upstream > charged:
        return charged + upstream
    return charged


def _nano_usd(reported: object) -> int | None:
    """An amount in dollars as it is written, never by way of a binary fraction."""
    if isinstance(reported, bool) or not isinstance(reported, int | float | Decimal):
        return None
    try:
        usd = Decimal(repr(reported)) if isinstance(reported, float) else Decimal(reported)
        if not 0 <= usd <= MAX_COST_USD:
            return None
        return int((usd * NANO).to_integral_value(ROUND_HALF_EVEN))
    except InvalidOperation:
        return None
