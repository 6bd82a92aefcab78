"""A restricted request never reaches an open backend, on any inbound API and whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.config.schema import (
    BackendConfig,
    PolicyConfig,
    QueueConfig,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.types import CooldownEnd, PrivacyZone
from tests.contract.bodies import FIRST, HELLO
from tests.contract.scripted_upstream import Exchange, Script, answers, streams
from tests.examples import promised
from tests.scenarios.beside import Beside, beside
from tests.scenarios.every_api import (
    COUNTS,
    EVERY,
    KINDS,
    Asked,
    local_speaking,
    one_of_each,
    server_of_every_format,
)
from tests.scenarios.nexus import RESTRICTED, backend, hang_up
from tests.waiting import take_time

ALL = EVERY | COUNTS
SERVER = ServerConfig(
    ping_seconds=2,
    first_byte_timeout_seconds=5,
    idle_timeout_seconds=5,
    request_timeout_seconds=9,
)
RULES = RoutingConfig(
    aliases={"public": "secret-model", "claude-*": "secret-model"},
    fallbacks={"gone": ("m",), "secret-gone": ("m",)},
    policies=(PolicyConfig(model_pattern="secret-*", privacy=PrivacyZone.RESTRICTED),),
)
OPEN, SAFE = "open-", "safe"


async def silent_first(exchange: Exchange) -> None:
    await take_time(3)
    await hang_up(exchange)


async def silent_for_ever(exchange: Exchange) -> None:
    await take_time(10)
    await exchange.closed.wait()


OUTCOMES: dict[str, Script] = {
    "answers": server_of_every_format,
    "fails": answers({"error": {"message": "out of memory"}}, 500),
    "is full": answers({"error": {"message": "slow down"}}, 429),
    "has no path": answers({"detail": "Not Found"}, 404),
    "refuses a field": answers({"error": {"message": "unknown field"}}, 422),
    "hangs up": hang_up,
    "hangs up behind a sign of life": silent_first,
    "says nothing": silent_for_ever,
    "breaks off": streams([FIRST, HELLO], is_whole=False),
    "fails amid its stream": streams([FIRST, HELLO, b'data: {"error":{"message":"no"}}\n\n']),
    "is silent amid its stream": streams([FIRST, HELLO, 3, HELLO[:9], 6, HELLO[9:]]),
}
# How a request is restricted: the model that it names, and its headers.
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "by its header": ("m", RESTRICTED),
    "by a policy": ("secret-model", {}),
    "by a policy for what an alias means": ("public", {}),
    "by a policy for what a pattern means": ("claude-haiku-9", {}),
    "by a policy for the backend's own name": ("renamed", {}),
    "by its header, for a fallback": ("gone", RESTRICTED),
    "by a policy, for a fallback": ("secret-gone", {}),
}
MODELS = {"m": "m", "secret-model": "other", "renamed": "secret-upstream"}
MARK = "WORDS-THAT-STAY-HERE"


def configured(*urls: str) -> list[BackendConfig]:
    """An open one of each format, better liked than the two that are restricted."""
    made = [
        one.model_copy(
            update={
                "name": f"{OPEN}{one.name}",
                "zone": PrivacyZone.OPEN,
                "models": MODELS,
                "priority": 90,
            }
        )
        for one in one_of_each(*urls[:KINDS])
    ]
    chat = backend(SAFE, urls[KINDS], models=MODELS)
    native = local_speaking(urls[KINDS], "messages", "responses", "ollama")
    return [*made, chat, native.model_copy(update={"name": f"{SAFE}-native", "models": MODELS})]


@pytest.fixture(scope="module")
def serving() -> Iterator[Beside]:
    with beside(
        [server_of_every_format] * (KINDS + 1),
        configured,
        routing=RULES,
        server=SERVER,
        queue=QueueConfig(enabled=True, max_wait_seconds=1),
    ) as one:
        one.call(lambda: one.nexus.gateway.captures.switch(is_on=True))
        yield one


class Sent(NamedTuple):
    """A request, and what becomes of it at the backends that may have it."""

    asked: Asked
    model: str
    headers: dict[str, str]
    is_stream: bool
    is_long: bool
    is_stored: bool
    outcome: str


@st.composite
def restricted(draw: st.DrawFn) -> Sent:
    model, headers = WAYS[draw(st.sampled_from(sorted(WAYS)))]
    pin = draw(st.sampled_from([None, None, f"{OPEN}claude", f"{OPEN}ollama", SAFE]))
    return Sent(
        ALL[draw(st.sampled_from(sorted(ALL)))],
        model,
        headers if pin is None else {**headers, "X-Nexus-Backend": pin},
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.integers(0, 5)) == 0,
        draw(st.sampled_from(sorted(OUTCOMES))),
    )


def body_of(sent: Sent) -> dict[str, Any]:
    body = {**sent.asked.body}
    if "model" in body:
        body["model"] = sent.model
    if sent.is_stream and "stream" in body:
        body["stream"] = True
    if sent.is_stored and "instructions" in body:  # of the Responses API
        body |= {"store": True, "previous_response_id": "resp_1"}
    for limit in ("max_tokens", "max_output_tokens", "max_completion_tokens"):
        if limit in body and sent.is_long:
            body[limit] = 64_000
    marked: dict[str, Any] = json.loads(json.dumps(body).replace('"look"', f'"{MARK}"'))
    return marked


@promised()
@given(sent=restricted())
def test_a_restricted_request_never_reaches_an_open_backend(serving: Beside, sent: Sent) -> None:
    *opened, safe = serving.ups
    cooldowns = serving.nexus.gateway.registry.cooldowns
    safe.script = OUTCOMES[sent.outcome]
    serving.call(lambda: cooldowns.clear_all(CooldownEnd.CLEARED))
    path = sent.asked.path.replace("/m:", f"/{sent.model}:")

    answer = serving.post(path, json.dumps(body_of(sent)).encode(), sent.headers)

    asked = answer.headers.get("x-nexus-request-id")
    again = f"/nexus/requests/{asked}/replay"
    for name in (f"{OPEN}claude", f"{OPEN}gpu"):
        told = serving.post(again, json.dumps({"backend": name}).encode())
        assert told.status_code < 500, told.text  # what is accepted fails when it is routed
    assert [up.url for up in opened if up.received] == []
    assert answer.headers.get("x-nexus-privacy-zone", "restricted") == "restricted"
    assert OPEN not in answer.headers.get("x-nexus-backend", "")


@pytest.mark.parametrize("path", sorted(ALL))
def test_the_same_without_a_restriction_does_reach_one(serving: Beside, path: str) -> None:
    """Else the property above would hold for nothing."""
    *opened, _ = serving.ups

    counts = {"count_tokens": "claude", "countTokens": "gemini"}
    pin = {"X-Nexus-Backend": f"{OPEN}{counts[path]}"} if path in counts else None

    answer = serving.post(ALL[path].path, json.dumps(ALL[path].body).encode(), pin)

    assert sum(len(up.received) for up in opened) == 1, answer.text
    for up in opened:
        up.received.clear()
