"""Broken histories over real sockets: an agent's session goes on, and explain says why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.scripted_upstream import ScriptedUpstream, answers
from tests.dialects.pairing_rules import anthropic_pairs, google_pairs
from tests.dialects.test_history import CASES
from tests.vendors.live import backend, nexus_with
from tests.vendors.samples import Provider, both


@both
@pytest.mark.parametrize(
    "case",
    [
        "interrupted, one of two",
        "doubled with another text",
        "an id that comes again",
        "an orphan at the beginning",
        "a call that nothing stands before",
        "no ids, but names",
        "legacy, by name",
    ],
)
async def test_a_broken_history_is_sent_as_the_provider_takes_it(
    upstream: ScriptedUpstream, provider: Provider, case: str
) -> None:
    upstream.script = answers(provider.answer)
    messages, _, changed = CASES[case]

    async with nexus_with(backend(provider.type, upstream.url, provider.model)) as nexus:
        answer = await nexus.chat(messages=messages)
        told = await nexus.http.post("/nexus/explain", json={"model": "m", "messages": messages})

    body: dict[str, Any] = json.loads(upstream.last.body)
    assert answer.status_code == 200
    (anthropic_pairs if "messages" in body else google_pairs)(body)
    assert set(changed) <= set(told.json()["translation"]["changed"])
