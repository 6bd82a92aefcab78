"""A fact about a request as the text of a cell, by its unit."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import assert_never

from nexus_core.observe.facts import Fact, Unit
from nexus_core.observe.origin.origin import Origin
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, clock, count, dollars, duration


def fact_text(fact: Fact, value: object) -> str:
    """The value as both lists write it, safe to draw; a dash for what is unknown.

    Raises:
        ValueError: it is not of the fact's unit; only what another Nexus tells may be so.
    """
    if value is None:
        return NOTHING
    match fact.unit:
        case Unit.PLAIN:
            if isinstance(value, bool):
                return "yes" if value else "no"
            return escaped(str(value)) or NOTHING
        case Unit.TIME:
            return clock(_number(value))
        case Unit.MS:
            return duration(_number(value))
        case Unit.TOKENS:
            return count(round(_number(value)))
        case Unit.USD:
            return dollars(value if isinstance(value, Decimal) else Decimal(str(_number(value))))
        case _:
            assert_never(fact.unit)


def origin_words(origin: Origin) -> str:
    """`claude-code, session 3f2a…, subagent a71c…`, as far as it is known; not escaped."""
    told = (origin.agent, _named("session", origin.session), _named("subagent", origin.subagent))
    return ", ".join(part for part in told if part)


def _named(kind: str, id_: str | None) -> str:
    return f"{kind} {id_}" if id_ else ""


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number is required")
    return value
