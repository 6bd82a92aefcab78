"""Read OpenAI's answers: what came, what it used, and whether it is an answer at all."""

from __future__ import annotations

from collections.abc import Mapping


def read_service_tier(fields: Mapping[str, object]) -> str | None:
    """Which tier served an answer, where it says so: tiers have prices of their own."""
    tier = fields.get("service_tier")
    return tier if isinstance(tier, str) else None
