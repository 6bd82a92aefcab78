"""Filter of client keys: the table of keys of the Keys tab."""

from __future__ import annotations

from decimal import Decimal

from nexus_tui.sources.client_keys import ClientKey
from nexus_tui.view.filter.language import Flag, Key, Language, Test
from nexus_tui.view.filter.values import choice, count, dollars, one_text, texts

_STATES = ("active", "blocked", "expired", "revoked", "environment")
_ZONES = ("restricted", "open")


def _spent(key: ClientKey) -> Decimal:
    return Decimal(str(key.used.spent_usd))


def _never(_: ClientKey) -> bool:
    return False


def _word(text: str) -> Test[ClientKey]:
    def test(key: ClientKey) -> bool:
        shown = (key.name, key.state, key.zone, *(key.models or ()))
        return any(text in part.casefold() for part in shown)

    return test


CLIENT_KEYS = Language[ClientKey](
    keys=(
        Key(
            "name",
            "lap  =laptop",
            "part of the name; = all of it",
            one_text(lambda key: key.name),
            ("key",),
        ),
        Key(
            "state",
            "active  blocked,expired",
            "state of the key; environment: of those that are set where Nexus is started",
            choice(lambda key: key.state, _STATES, ", ".join(_STATES)),
            ("status",),
            options=_STATES,
        ),
        Key(
            "zone",
            "restricted",
            "zones that it may use",
            choice(lambda key: key.zone or None, _ZONES, "restricted or open"),
            options=_ZONES,
        ),
        Key("model", "llama", "part of a glob of its models", texts(lambda key: key.models or ())),
        Key("tier", "3  <2", "its tier", count(lambda key: key.tier, "tier:3"), is_number=True),
        Key(
            "load",
            "1",
            "requests under way",
            count(lambda key: key.used.under_way, "load:1 or load:>4"),
            ("in_flight",),
            is_number=True,
        ),
        Key(
            "cost",
            ">1  <10c",
            "dollars spent this month",
            dollars(_spent, _never, "cost:>1"),
            ("spent",),
            is_number=True,
        ),
    ),
    flags=(
        Flag(
            "limited",
            "it has a limit of requests, tokens, money or its models",
            lambda key: any(
                limit is not None
                for limit in (key.rpm, key.tpm, key.parallel, key.budget_usd, key.models)
            ),
        ),
        Flag(
            "used",
            "requests came with it, as far as is known",
            lambda key: key.used.last is not None,
        ),
    ),
    word=_word,
    words="name, state, zone and models",
)
