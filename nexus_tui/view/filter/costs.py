"""Filter of cost lines: the table of keys of the Costs tab."""

from __future__ import annotations

from decimal import Decimal

from nexus_core.money.report import CostRow
from nexus_tui.view.filter.language import Flag, Key, Language, Test
from nexus_tui.view.filter.values import count, dollars, one_text


def _cost(row: CostRow) -> Decimal | None:
    if row.actual is None and row.estimated is None:
        return None
    return (row.actual or Decimal(0)) + (row.estimated or Decimal(0))


def _is_unpriced(row: CostRow) -> bool:
    return bool(row.unpriced)


def _word(text: str) -> Test[CostRow]:
    def test(row: CostRow) -> bool:
        return text in (row.name or "").casefold() or text in (row.where or "").casefold()

    return test


COSTS = Language[CostRow](
    keys=(
        Key(
            "name",
            'gpt  =gpt-4o  =""',
            "part of the model, backend, key, agent, …; all of it; none",
            one_text(lambda row: row.name),
            ("model", "key", "agent", "session", "api"),
        ),
        Key("backend", "gpu-box", "part of the backend's name", one_text(lambda row: row.where)),
        Key(
            "requests",
            ">100",
            "number of requests",
            count(lambda row: row.requests, "requests:>100"),
            is_number=True,
        ),
        Key(
            "tokens",
            ">1m",
            "tokens of prompts and answers",
            count(lambda row: row.prompt_tokens + row.completion_tokens, "tokens:>100k"),
            is_number=True,
        ),
        Key(
            "cost",
            ">1  <10c",
            "cost in dollars, estimated and actual",
            dollars(_cost, _is_unpriced, "cost:>1"),
            is_number=True,
        ),
    ),
    flags=(Flag("unpriced", "a part of it has no known price", _is_unpriced),),
    word=_word,
    words="name and backend",
)
