"""The envelope: what may be said of a request without looking into its body."""

from __future__ import annotations

import json

import pytest

from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.request import Demand
from nexus_core.types import Capability, Operation

PHRASE = "où est l'hôtel"


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_phrase_is_found_however_it_is_escaped(ascii_only: bool) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": f"say: {PHRASE}"}]}
    request = read_request(Operation.CHAT, json.dumps(body, ensure_ascii=ascii_only).encode())

    assert request.mentions(PHRASE)
    assert not request.mentions("invalid api key")


def test_what_is_too_long_to_be_looked_at_may_mention_anything() -> None:
    content = "é" * 200_000
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}

    assert read_request(Operation.CHAT, json.dumps(body).encode()).mentions("rate limit")


def test_a_capability_has_a_place_only_where_one_field_asks_for_it() -> None:
    demand = Demand(places=((Capability.VISION, "messages[0].content[1]"),))

    assert demand.place_of(Capability.VISION) == "messages[0].content[1]"
    assert demand.place_of(Capability.TOOLS) is None
