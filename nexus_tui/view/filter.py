"""Filter language of the request list: words, `key:value`, `live`, and `!` to invert."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from nexus_core.types import PrivacyZone, RouteReason


class Filterable(Protocol):
    """A request that can be filtered: a row of the screen, or a line of `nexus requests`."""

    @property
    def request_id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def backend(self) -> str | None: ...
    @property
    def zone(self) -> PrivacyZone | None: ...
    @property
    def reason(self) -> RouteReason | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def total_ms(self) -> float | None: ...
    @property
    def cost_usd(self) -> Decimal | float | None: ...
    @property
    def is_unpriced(self) -> bool: ...
    @property
    def is_live(self) -> bool: ...


Test = Callable[[Filterable], bool]

_STATUS = re.compile(r"[1-5](xx|\d\d)")
_COST = re.compile(r"([<>]?)(\d+(?:\.\d+)?)")
_SLOW = re.compile(r">?(\d+(?:\.\d+)?)(ms|s)?")


@dataclass(frozen=True, slots=True)
class Filter:
    """A request filter: every term must match; the empty one matches everything."""

    text: str = ""
    tests: tuple[Test, ...] = ()
    problem: str | None = None  # for people: a term that can't be read; it matches nothing

    def matches(self, row: Filterable) -> bool:
        return all(test(row) for test in self.tests)


def parse_filter(text: str) -> Filter:
    """Parse a filter; never fails, an invalid term is reported in `problem`."""
    tests: list[Test] = []
    problem = None
    for term in text.split():
        inverted = term.startswith("!")
        word = (term[1:] if inverted else term).casefold()
        if not word:
            continue
        try:
            test = _term(word)
        except ValueError as error:
            problem = problem or str(error)
            tests.append(_nothing)  # inverted or not: what can't be read must not show all
            continue
        tests.append(_inverse(test) if inverted else test)
    return Filter(text.strip(), tuple(tests), problem)


def _term(word: str) -> Test:
    if word == "live":
        return lambda row: row.is_live
    key, colon, value = word.partition(":")
    make = _KEYS.get(key) if colon else None
    # Model names hold colons (llama3:70b), so an unknown key is a word like any other.
    return make(value) if make else _word(word)


def _word(word: str) -> Test:
    def test(row: Filterable) -> bool:
        texts = (row.model, row.backend or "", row.request_id)
        return any(word in text.casefold() for text in texts)

    return test


def _status(value: str) -> Test:
    if not _STATUS.fullmatch(value):
        raise ValueError("status: must be a number or class, such as 503 or 5xx")
    prefix = value.replace("x", "")
    return lambda row: row.status is not None and str(row.status).startswith(prefix)


def _zone(value: str) -> Test:
    if not value or not ("restricted".startswith(value) or "open".startswith(value)):
        raise ValueError("zone: must be restricted or open")
    return lambda row: row.zone is not None and row.zone.value.startswith(value)


def _reason(value: str) -> Test:
    return lambda row: row.reason is not None and value in row.reason.value


def _backend(value: str) -> Test:
    return lambda row: value in (row.backend or "").casefold()


def _model(value: str) -> Test:
    return lambda row: value in row.model.casefold()


def _slow(value: str) -> Test:
    found = _SLOW.fullmatch(value)
    if found is None:
        raise ValueError("slow: must be a time, such as slow:>2s or slow:500ms")
    limit = float(found[1]) * (1 if found[2] == "ms" else 1000)
    return lambda row: row.total_ms is not None and row.total_ms > limit


def _cost(value: str) -> Test:
    if value == "unpriced":
        return lambda row: row.is_unpriced
    found = _COST.fullmatch(value)
    if found is None:
        raise ValueError("cost: must be dollars, such as cost:>0.01, or unpriced")
    limit = Decimal(found[2])
    # What has no known cost is neither above nor below a limit.
    if found[1] == "<":
        return lambda row: row.cost_usd is not None and row.cost_usd < limit
    return lambda row: row.cost_usd is not None and row.cost_usd > limit


def _nothing(_row: Filterable) -> bool:
    return False


def _inverse(test: Test) -> Test:
    return lambda row: not test(row)


_KEYS: dict[str, Callable[[str], Test]] = {
    "status": _status,
    "zone": _zone,
    "reason": _reason,
    "backend": _backend,
    "model": _model,
    "slow": _slow,
    "cost": _cost,
}
