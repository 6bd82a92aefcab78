"""Cost of one request as text: an unknown price is never shown as free."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from nexus_core.money.prices import REPORTED
from nexus_core.observe.record import RequestRecord
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, dollars

if TYPE_CHECKING:  # commands without a screen come by here
    from nexus_tui.widgets.base.lines import Cell

UNPRICED = "unpriced"


def cost_cell(row: RequestRecord) -> Cell:
    """`$0.0029`; `≈` where the tokens are Nexus's own count; a dash for what costs nothing."""
    if row.is_unpriced:
        return UNPRICED, "warn"
    usd = row.cost_usd
    if usd is None:
        return NOTHING, "dim"
    return f"{_sign(row)}{dollars(usd)}", "text"


def cost_words(row: RequestRecord) -> str:
    """What was expected and what it came to, kept apart; empty where neither is known."""
    if row.is_live:
        return ""
    if row.saved is not None:
        instead = escaped(row.saved_model or "a cloud")
        return f"local, saved ≈ {dollars(row.saved.usd)} ({instead})"
    expected = f"{dollars(row.estimated.usd)} est, " if row.estimated else ""
    if row.is_unpriced:
        return f"{expected}{UNPRICED}: add it to [pricing]"
    if row.cost_usd is None:
        return ""
    how = "counted by Nexus" if _sign(row) else _how(row)
    partial = ", of what came until it broke off" if row.is_partial else ""
    return f"{expected}{_sign(row)}{dollars(row.cost_usd)} {how}{partial}"


def _how(row: RequestRecord) -> str:
    is_reported = row.cost is not None and row.cost.source == REPORTED
    return "as reported by the backend" if is_reported else "actual"


def cost_difference(left: RequestRecord, right: RequestRecord) -> str | None:
    """How much more the right one cost; None where one of them is not over."""
    if left.is_unpriced or right.is_unpriced:
        return f"Δ cost unknown: {UNPRICED}"
    before, after = _spent(left), _spent(right)
    if before is None or after is None:
        return None
    if left.cost_usd is None and right.cost_usd is None:
        return f"Δ cost {NOTHING}"  # both are local
    more = after - before
    sign = _sign(left) or _sign(right)
    return f"Δ cost {sign}{'-' if more < 0 else '+'}{dollars(abs(more))}"


def _spent(row: RequestRecord) -> Decimal | None:
    """A local answer costs nothing; None where nothing was answered yet, or at all."""
    if row.cost_usd is not None:
        return row.cost_usd
    kind = None if row.is_live else row.backend_type
    return None if kind is None or kind.is_cloud else Decimal(0)


def sum_sign(*, is_estimated: bool, is_unpriced: bool) -> str:
    """Before a sum: `≥ ` where some of it has no price, `≈` where some of it is estimated."""
    return "≥ " if is_unpriced else "≈" if is_estimated else ""


def tokens_words(row: RequestRecord) -> str:
    """`1,200 in, 34 out`; `≈` where that is Nexus's own count. Empty where nothing is known."""
    usage = row.usage
    if usage is None:
        return ""
    return f"{_sign(row)}{usage.prompt_tokens:,} in, {_sign(row)}{usage.completion_tokens:,} out"


def _sign(row: RequestRecord) -> str:
    return "≈" if row.is_estimated else ""
