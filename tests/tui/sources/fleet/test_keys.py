"""Client keys of several replicas: who uses what is the sum, limits are the fleet's."""

from __future__ import annotations

from nexus_tui.sources.client_keys import ClientKey, KeyList, Used
from nexus_tui.sources.fleet.keys import sum_keys


def test_use_is_summed_and_what_all_know_of_the_fleet_is_not() -> None:
    here = ClientKey(
        name="laptop",
        state="active",
        used=Used(requests=2, under_way=1, spent_usd=0.5, last=10.0, rpm=3),
    )
    there = ClientKey(
        name="laptop", state="active", used=Used(requests=5, tokens=7, spent_usd=0.4, last=12.0)
    )
    ci = ClientKey(name="ci", state="environment")

    whole = sum_keys([KeyList((here, ci)), KeyList((there,), "the database does not answer")])

    assert [key.name for key in whole.keys] == ["laptop", "ci"]
    used = whole.keys[0].used
    assert (used.requests, used.tokens, used.under_way, used.rpm) == (7, 7, 1, 3)
    assert (used.spent_usd, used.last) == (0.5, 12.0)
    assert whole.problem == "the database does not answer"
