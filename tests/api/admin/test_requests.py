"""GET /nexus/requests: the newest requests, and all that is known of one."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from nexus_core.gateway import Gateway
from nexus_core.types import (
    Cost,
    CountMethod,
)
from tests.api.in_process import client
from tests.observe.happened import answered, received
from tests.waiting import others

_AGENT = {
    "User-Agent": "claude-cli/2.1.197 (external, cli)",
    "X-Claude-Code-Session-Id": "3f2a",
    "X-Codex-Turn-Metadata": '{"workspace": "/home/me/secret"}',
}


async def test_requests_are_listed_newest_first_and_told_in_full(gateway: Gateway) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a secret"}]}
    gateway.registry.set_enabled("local", False)
    gateway.registry.set_enabled("cloud", False)
    async with gateway.running(), client(gateway) as http:
        await gateway.health.first_round()
        await http.post("/nexus/capture", json={"enabled": True})
        path = "/v1/chat/completions"
        sent = [await http.post(path, json=body, headers=_AGENT) for _ in range(3)]
        ids = [answer.headers["x-nexus-request-id"] for answer in sent]
        listed = (await http.get("/nexus/requests", params={"limit": 2})).json()["requests"]
        older = await http.get("/nexus/requests", params={"before": ids[1]})
        one = (await http.get(f"/nexus/requests/{ids[0]}")).json()
        bodies = await http.get(f"/nexus/requests/{ids[0]}/bodies")
        refused = [
            (await http.get(path)).status_code
            for path in (
                "/nexus/requests?limit=0",
                "/nexus/requests?limit=1001",
                "/nexus/requests/x",
            )
        ]

    assert [row["id"] for row in listed] == [ids[2], ids[1]]
    assert [row["id"] for row in older.json()["requests"]] == [ids[0]]
    assert set(listed[0]) == {
        "replica",
        *("id", "at", "model", "served_model", "backend", "zone", "reason", "status", "error"),
        *("first_byte_ms", "total_ms", "prompt_tokens", "completion_tokens", "cost_usd"),
        *("is_running", "is_unpriced", "counted", "is_estimated", "error_code", "client_left"),
        *("api", "endpoint", "path", "client", "tried", "is_streaming", "time"),
        *("agent", "session", "subagent"),
    }
    row = listed[0]
    assert (row["agent"], row["session"], row["subagent"]) == ("claude-code", "3f2a", None)
    assert ["x-codex-turn-metadata", "***"] in one["request_headers"]
    assert (row["error_code"], row["api"]) == ("no_capable_backend", "chat")
    assert (row["model"], row["status"], row["is_running"]) == ("m", 503, False)
    assert (row["served_model"], row["backend"], row["cost_usd"]) == (None, None, None)
    assert one["has_body"] is True
    assert "secret" not in json.dumps(one)
    assert json.loads(bodies.json()["request"]["content"]) == body
    assert bodies.headers["cache-control"] == "no-store"
    assert refused == [400, 400, 404]


async def test_many_requests_are_told_in_slices_of_the_loop(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(500):
        end(gateway, f"r{number}")
    dumps, rows_in_turn = json.dumps, Counter[int]()

    def counting(value: object, **options: Any) -> str:
        rows_in_turn[len(in_between)] += 1
        return dumps(value, **options)

    async with client(gateway) as http, others() as in_between:
        monkeypatch.setattr(json, "dumps", counting)
        many = await http.get("/nexus/requests?limit=500")

    assert len(many.json()["requests"]) == 500
    assert rows_in_turn.total() >= 500
    assert max(rows_in_turn.values()) <= 100


async def test_bodies_are_not_kept_unless_that_is_asked_for(gateway: Gateway) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a secret"}]}
    gateway.registry.set_enabled("local", False)
    gateway.registry.set_enabled("cloud", False)
    async with gateway.running(), client(gateway) as http:
        await gateway.health.first_round()
        unasked = await http.post("/v1/chat/completions", json=body)
        request_id = unasked.headers["x-nexus-request-id"]
        one = (await http.get(f"/nexus/requests/{request_id}")).json()
        bodies = await http.get(f"/nexus/requests/{request_id}/bodies")

    assert len(gateway.captures) == 0
    assert one["has_body"] is False
    assert bodies.status_code == 404


def end(gateway: Gateway, request_id: str, **money: Any) -> None:
    """A request from its beginning to its end."""
    gateway.bus.publish(received(request_id))
    gateway.bus.publish(
        answered(request_id, backend="cloud", counted=CountMethod.REPORTED, **money)
    )


async def test_what_a_request_cost_is_told_and_an_unknown_price_is_not_0(gateway: Gateway) -> None:
    end(gateway, "priced", cost=Cost(2_900_000, "config"), estimated=Cost(3_200_000, "config"))
    end(gateway, "unpriced", is_unpriced=True)
    end(gateway, "local", saved=Cost(4_000_000, "list"), saved_model="gpt-4")

    async with client(gateway) as http:
        listed = (await http.get("/nexus/requests")).json()["requests"]
        one = (await http.get("/nexus/requests/priced")).json()
        local = (await http.get("/nexus/requests/local")).json()

    costs = {row["id"]: (row["cost_usd"], row["is_unpriced"]) for row in listed}
    assert costs == {"priced": (0.0029, False), "unpriced": (None, True), "local": (None, False)}
    assert (one["estimated_usd"], one["price_from"], one["counted"]) == (
        0.0032,
        "config",
        "reported",
    )
    assert (local["saved_usd"], local["saved_model"]) == (0.004, "gpt-4")


@pytest.mark.parametrize(
    ("part", "status", "told"),
    [
        ("79f1aaaa11112222", 200, "79f1aaaa11112222"),
        ("79f1a", 200, "79f1aaaa11112222"),
        ("79F1A", 200, "79f1aaaa11112222"),
        ("…1112222", 200, "79f1aaaa11112222"),  # as a list shows it
        ("~1112222", 200, "79f1aaaa11112222"),  # without Unicode
        ("3333", 404, "'3333' is part of several ids: 79f1cccc11113333, 79f1bbbb11113333"),
        ("79f", 404, "request '79f' not found; "),  # too short to be sure
        ("79f1aaaa11112229", 404, "did you mean 79f1aaaa11112222"),
        ("zzzz", 404, "the last 1000 requests are kept"),
    ],
)
async def test_a_part_of_an_id_will_do_where_it_is_that_of_one_request(
    gateway: Gateway, part: str, status: int, told: str
) -> None:
    for request_id in ("79f1aaaa11112222", "79f1bbbb11113333", "79f1cccc11113333"):
        end(gateway, request_id)
    async with client(gateway) as http:
        answer = await http.get(f"/nexus/requests/{part}")

    content = answer.json()
    assert answer.status_code == status
    if status == 200:
        assert content["id"] == told
    else:
        assert told in content["error"]["message"]


async def test_the_time_is_told_as_a_number_and_as_iso_8601(gateway: Gateway) -> None:
    end(gateway, "r1")
    async with client(gateway) as http:
        listed = (await http.get("/nexus/requests")).json()

    row = listed["requests"][0]
    assert datetime.fromisoformat(row["time"]).timestamp() == pytest.approx(row["at"], abs=0.001)
    assert listed["run"] == gateway.event_log.run
