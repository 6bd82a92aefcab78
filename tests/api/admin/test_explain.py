"""POST /nexus/explain beside the data plane of the same Nexus: the same decision, no trace."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from nexus_core.api.app import FrontDoor
from nexus_core.config.schema import Config
from nexus_core.gateway import Gateway
from nexus_core.money.averages import FIRST_GUESS
from nexus_core.observe.events import RouteDecided
from nexus_core.types import NANO
from nexus_core.upstream.httpx_engine import HttpxEngine
from tests.contract.bodies import ANSWER

BODY = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
EXPLAIN, CHAT = "/nexus/explain", "/v1/chat/completions"
MODELS = {"object": "list", "data": [{"id": "m"}]}


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=MODELS if request.method == "GET" else ANSWER)


def make_gateway(*backends: dict[str, Any], **sections: Any) -> Gateway:
    tables = [
        {"url": f"http://{b['name']}.test", "type": "vllm", "zone": "restricted", "models": ["m"]}
        | b
        for b in backends
    ]
    config = Config.model_validate({"backends": tables} | sections, strict=False)
    return Gateway(config, engine=HttpxEngine(httpx.MockTransport(answer)))


def client_of(gateway: Gateway) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(FrontDoor(gateway))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def said(explanation: dict[str, Any]) -> list[tuple[object, ...]]:
    kept: list[tuple[object, ...]] = [
        (c["position"], c["backend"], c["model"]) for c in explanation["candidates"]
    ]
    return kept + [
        (None, drop["backend"], stage["stage"], drop["why"])
        for model in explanation["models"]
        for stage in model["stages"]
        for drop in stage["dropped"]
    ]


def happened(event: RouteDecided) -> list[tuple[object, ...]]:
    kept: list[tuple[object, ...]] = []
    dropped: dict[str, list[tuple[object, ...]]] = {}
    for c in event.considered:
        if c.position is not None:
            kept.append((c.position, c.backend, c.model))
        else:
            row = (None, c.backend, c.dropped_by, c.why)
            dropped.setdefault(str(c.dropped_by), []).append(row)
    stages = ("model", "pin", "enabled", "zone", "tier", "healthy", "cooldown", "capacity")
    return kept + [row for stage in stages for row in dropped.get(stage, [])]


FLEET: tuple[dict[str, Any], ...] = (
    {"name": "a", "priority": 10},
    {"name": "b", "priority": 90, "max_concurrent": 1},
    {"name": "c", "priority": 50, "zone": "open", "tier": 4},
    {"name": "d", "enabled": False},
    {"name": "e", "models": {"n": "m"}},
)


@pytest.mark.parametrize("strategy", ["smart", "round_robin", "priority_only", "random"])
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("headers", [{}, {"X-Nexus-Privacy-Zone": "restricted"}])
async def test_the_next_request_goes_where_it_says(
    strategy: str, is_full: bool, headers: dict[str, str]
) -> None:
    gateway = make_gateway(*FLEET, routing={"strategy": strategy})
    events = gateway.bus.subscribe()
    if is_full:
        gateway.registry.acquire("b")
    async with client_of(gateway) as client:
        for _ in range(4):
            explanation = (await client.post(EXPLAIN, json=BODY, headers=headers)).json()
            assert events.drain() == []
            answered = await client.post(CHAT, json=BODY, headers=headers)
            (decided,) = (e for e in events.drain() if isinstance(e, RouteDecided))

            assert said(explanation) == happened(decided)
            chosen = explanation["chosen"]
            assert chosen["backend"] == answered.headers["x-nexus-backend"] == decided.backend
            assert chosen["reason"] == answered.headers["x-nexus-route-reason"]
            assert chosen["model"] == answered.headers["x-nexus-model"]
            assert chosen["zone"] == answered.headers["x-nexus-privacy-zone"]
            assert chosen["backend_type"] == answered.headers["x-nexus-backend-type"]


@pytest.mark.parametrize(
    ("model", "headers"),
    [
        ("m", {"X-Nexus-Min-Tier": "4", "X-Nexus-Privacy-Zone": "restricted"}),
        ("m", {"X-Nexus-Backend": "d"}),
        ("m", {"X-Nexus-Backend": "b"}),
        ("n-", {}),
        ("nobody-has-it", {}),
    ],
)
async def test_a_refusal_is_the_one_the_client_would_get(
    model: str, headers: dict[str, str]
) -> None:
    gateway = make_gateway(*FLEET, routing={"aliases": {"n-alias": "n"}})
    gateway.registry.acquire("b")
    body = BODY | {"model": model}
    async with client_of(gateway) as client:
        explained = await client.post(EXPLAIN, json=body, headers=headers)
        real = await client.post(CHAT, json=body, headers=headers)

    assert explained.status_code == 200
    refused, error = explained.json()["refused"], real.json()["error"]
    assert explained.json()["chosen"] is None
    assert refused["status"] == real.status_code
    assert {key: refused[key] for key in ("code", "message")} == {
        key: error[key] for key in ("code", "message")
    }
    assert refused["context"] == error.get("context")


async def numbers(client: httpx.AsyncClient) -> dict[str, Any]:
    """The statistics without what time alone changes."""
    told = (await client.get("/v1/stats")).text
    numbers: dict[str, Any] = json.loads(re.sub(r'seconds":[ 0-9.]+', 'seconds":0', told))
    return numbers


async def test_nothing_is_counted_and_no_slot_is_taken() -> None:
    gateway = make_gateway({"name": "a", "max_concurrent": 1})
    before = gateway.registry.snapshots()
    async with client_of(gateway) as client:
        state = await numbers(client)
        await client.post(EXPLAIN, json=BODY)
        await client.post(EXPLAIN, json=BODY | {"model": "unknown"})
        await client.post(EXPLAIN, content=b"{", headers={"Content-Type": "application/json"})
        after = await numbers(client)

    assert after == state
    assert gateway.registry.snapshots() == before


async def test_it_waits_for_the_models_as_the_data_plane_does() -> None:
    gateway = make_gateway({"name": "a", "models": None})
    async with gateway.running(), client_of(gateway) as client:
        explained = await client.post(EXPLAIN, json=BODY)

    assert explained.json()["chosen"]["backend"] == "a"


@pytest.mark.parametrize(("max_size", "seconds"), [(1, 7), (None, None)])
async def test_a_wait_in_the_queue_is_told_where_there_is_one(
    max_size: int | None, seconds: float | None
) -> None:
    queue = {"enabled": max_size is not None, "max_wait_seconds": 7, "max_size": max_size or 1}
    gateway = make_gateway({"name": "a", "max_concurrent": 1}, queue=queue)
    gateway.registry.acquire("a")
    async with client_of(gateway) as client:
        explanation = (await client.post(EXPLAIN, json=BODY)).json()

    assert explanation["wait_seconds"] == seconds
    assert explanation["refused"]["code"] == "capacity_exceeded"
    assert explanation["would_change"] == ["a: one slot free → a, capability-match"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_form_of_a_web_page_is_refused(kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    async with client_of(make_gateway()) as client:
        answered = await client.post(EXPLAIN, content=b"{}", headers=headers)

    assert answered.status_code == 400
    assert answered.json()["error"]["param"] == "Content-Type"


async def test_it_is_listed_with_the_other_routes() -> None:
    async with client_of(make_gateway()) as client:
        page = (await client.get("/docs")).text

    assert EXPLAIN in page


PRICED = {"openai": {"m": {"input_per_1k": 1.0, "output_per_1k": 2.0}}}


@pytest.mark.parametrize(
    ("backend", "max_tokens", "completion"),
    [
        ({"name": "a"}, 10, None),  # local: nothing
        ({"name": "a", "type": "openai", "zone": "open", "api_key": "k"}, 10, 10),
        ({"name": "a", "type": "openai", "zone": "open", "api_key": "k"}, None, FIRST_GUESS),
        (
            {"name": "a", "type": "openai", "zone": "open", "api_key": "k", "models": {"m": "new"}},
            10,
            None,  # a price that nobody knows is not 0
        ),
    ],
)
async def test_it_tells_about_what_a_cloud_would_cost(
    backend: dict[str, Any], max_tokens: int | None, completion: int | None
) -> None:
    gateway = make_gateway(backend, pricing=PRICED)
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    async with client_of(gateway) as client:
        told = (await client.post(EXPLAIN, json=body)).json()

    assert 100 <= told["prompt_tokens"] <= 110
    usd = None if completion is None else (told["prompt_tokens"] + 2 * completion) / 1000
    assert told["chosen"]["estimated_usd"] == (None if usd is None else pytest.approx(usd))


# A question: a request by its facts -----------------------------------------------------------


def asks(**facts: Any) -> dict[str, Any]:
    return {"question": {"model": "m", **facts}}


@pytest.mark.parametrize(
    ("endpoint", "body", "headers", "facts"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "x" * 4000}]}, {}, {}),
        (
            CHAT,
            BODY | {"max_tokens": 50, "n": 3, "tools": [{}]},
            {"X-Nexus-Min-Tier": "4", "X-Nexus-Flexible": "true", "X-Nexus-Priority": "high"},
            {
                "needs": ["chat", "tools"],
                "max_tokens": 50,
                "choices": 3,
                "min_tier": 4,
                "flexible": True,
                "priority": "high",
            },
        ),
        (
            "/v1/embeddings",
            {"input": "x" * 400},
            {"X-Nexus-Privacy-Zone": "restricted", "X-Nexus-Backend": "b"},
            {"needs": ["embeddings"], "zone": "restricted", "backend": "b"},
        ),
    ],
)
async def test_a_question_is_answered_as_a_request_with_these_facts(
    endpoint: str, body: dict[str, Any], headers: dict[str, str], facts: dict[str, Any]
) -> None:
    gateway = make_gateway(*FLEET)
    async with client_of(gateway) as client:
        query = f"?endpoint={endpoint}&usable=d&translate=false"
        whole = await client.post(EXPLAIN + query, json={"model": "m", **body}, headers=headers)
        tokens = whole.json()["prompt_tokens"]
        by_facts = await client.post(
            EXPLAIN, json=asks(prompt_tokens=tokens, usable=["d"], **facts)
        )

    assert (whole.status_code, by_facts.status_code) == (200, 200)
    assert by_facts.json() == whole.json()


async def test_the_budget_of_the_client_that_is_asked_about_counts() -> None:
    budget = {"keys": {"laptop": {"monthly_limit_usd": 1.0}}, "hard_limit_action": "block_all"}
    gateway = make_gateway({"name": "a"}, budget=budget)
    spent = gateway.cost_tracker.budget
    spent.settle(spent.reserve("laptop", 0, gateway.now()), 2 * NANO, gateway.now())
    async with client_of(gateway) as client:
        own = (await client.post(EXPLAIN, json=asks(client="laptop"))).json()
        others = (await client.post(EXPLAIN, json=asks(client="phone"))).json()

    assert own["refused"]["code"] == "budget_exceeded"
    assert others["chosen"]["backend"] == "a"


@pytest.mark.parametrize(
    ("query", "headers", "body", "param"),
    [
        ("", {}, asks(min_tier=7), "question.min_tier"),
        ("", {}, asks(backend="nobody"), "question.backend"),
        ("", {}, asks(usable=["a", "nobody"]), "question.usable"),
        ("", {}, {"question": {}}, "question.model"),
        ("", {}, {"question": "m"}, "question"),
        ("", {}, asks() | {"stream": True}, "stream"),
        ("", {"X-Nexus-Privacy-Zone": "restricted"}, asks(), "X-Nexus-Privacy-Zone"),
        ("?usable=a", {}, asks(), "usable"),
        ("?endpoint=/v1/embeddings", {}, asks(), "endpoint"),
    ],
)
async def test_a_question_that_can_t_be_understood_names_the_key(
    query: str, headers: dict[str, str], body: dict[str, Any], param: str
) -> None:
    async with client_of(make_gateway({"name": "a"})) as client:
        answered = await client.post(EXPLAIN + query, json=body, headers=headers)

    assert answered.status_code == 400
    assert answered.json()["error"]["param"] == param
    assert answered.json()["error"]["message"].startswith(f"{param}: ")


async def test_a_request_may_have_a_field_of_that_name() -> None:
    async with client_of(make_gateway({"name": "a"})) as client:
        answered = await client.post(EXPLAIN, json=BODY | {"question": {"model": "other"}})

    assert answered.json()["model"] == "m"


@pytest.mark.parametrize("body", [b'{"question"', b'"question"', b'{"question": ' + b"[" * 100_000])
async def test_what_is_no_json_is_told_as_such(body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with client_of(make_gateway({"name": "a"})) as client:
        answered = await client.post(EXPLAIN, content=body, headers=headers)

    assert answered.status_code == 400
    assert "not valid JSON" in answered.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"question": {"model": "m"}, "question": {"model": "n"}}', 'duplicate key "question"'),
        (b'{"question": {"model": "m", "model": "n"}}', 'duplicate key "model"'),
        (b'{"question": {"model": "m", "zone": "restricted", "zone": "open"}}', "duplicate key"),
        (b'{"question": {"model": "m", "prompt_tokens": NaN}}', "NaN is not JSON"),
    ],
)
async def test_a_question_is_read_as_strictly_as_a_command(body: bytes, message: str) -> None:
    headers = {"Content-Type": "application/json"}
    async with client_of(make_gateway({"name": "a"})) as client:
        answered = await client.post(EXPLAIN, content=body, headers=headers)

    assert answered.status_code == 400
    assert message in answered.json()["error"]["message"]
