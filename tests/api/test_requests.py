"""GET /nexus/requests: the newest requests, and all that is known of one."""

from __future__ import annotations

import json

from nexus_core.gateway import Gateway
from tests.api.in_process import client


async def test_requests_are_listed_newest_first_and_told_in_full(gateway: Gateway) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a secret"}]}
    gateway.registry.set_enabled("local", False)
    gateway.registry.set_enabled("cloud", False)
    async with gateway.running(), client(gateway) as http:
        await gateway.health.first_round()
        await http.post("/nexus/capture", json={"enabled": True})
        sent = [await http.post("/v1/chat/completions", json=body) for _ in range(3)]
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
        *("id", "at", "model", "served_model", "backend", "zone", "reason", "status", "error"),
        *("first_byte_ms", "total_ms", "prompt_tokens", "completion_tokens", "cost_usd"),
        "is_running",
    }
    row = listed[0]
    assert (row["model"], row["status"], row["is_running"]) == ("m", 503, False)
    assert (row["served_model"], row["backend"], row["cost_usd"]) == (None, None, None)
    assert one["has_body"] is True
    assert "secret" not in json.dumps(one)
    assert json.loads(bodies.json()["request"]["content"]) == body
    assert bodies.headers["cache-control"] == "no-store"
    assert refused == [400, 400, 404]
