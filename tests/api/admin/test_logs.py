"""GET /nexus/logs, without sockets."""

from __future__ import annotations

import pytest

from nexus_core.api.admin.logs import MAX_TEXT_BYTES
from nexus_core.gateway import Gateway
from nexus_core.observe.log_ring import CAPACITY, MAX_TEXT, LogLine
from tests.api.in_process import client


def add(gateway: Gateway, *texts: str) -> None:
    for text in texts:
        gateway.logs.add(LogLine(1.5, "info", "x", text))


async def test_lines_are_told_oldest_first_with_an_id_to_go_on_from(gateway: Gateway) -> None:
    add(gateway, "one", "two")
    async with client(gateway) as http:
        first = (await http.get("/nexus/logs")).json()
        nothing = (await http.get("/nexus/logs", params={"after": first["last"]})).json()
        add(gateway, "three")
        news = (await http.get("/nexus/logs", params={"after": first["last"]})).json()

    run = gateway.logs.run
    assert first["lines"][0] == {
        "id": f"{run}-1",
        "at": 1.5,
        "level": "info",
        "logger": "x",
        "text": "one",
        "request": None,
    }
    assert first["last"] == first["lines"][1]["id"] == f"{run}-2"
    assert nothing == {"lines": [], "last": f"{run}-2", "skipped": 0}
    assert [line["text"] for line in news["lines"]] == ["three"]


async def test_what_one_answer_holds_no_more_is_counted(gateway: Gateway) -> None:
    add(gateway, *map(str, range(10)))
    run = gateway.logs.run
    async with client(gateway) as http:
        newest = (await http.get("/nexus/logs?limit=2")).json()
        after = (await http.get(f"/nexus/logs?limit=2&after={run}-3")).json()
        add(gateway, *["x"] * CAPACITY)
        lapped = (await http.get(f"/nexus/logs?limit={CAPACITY}&after={run}-3")).json()

    assert [line["text"] for line in newest["lines"]] == ["8", "9"]
    assert newest["skipped"] == 0  # nobody asked for those before
    assert (after["lines"], after["skipped"]) == (newest["lines"], 5)
    assert (len(lapped["lines"]), lapped["skipped"]) == (CAPACITY, 7)


async def test_long_lines_make_no_answer_without_bounds(gateway: Gateway) -> None:
    add(gateway, *[f"{number} " + "é" * (MAX_TEXT - 10) for number in range(200)])
    async with client(gateway) as http:
        answer = await http.get(f"/nexus/logs?limit=200&after={gateway.logs.run}-0")

    told = answer.json()
    sizes = [len(line["text"].encode()) for line in told["lines"]]
    assert MAX_TEXT_BYTES - max(sizes) < sum(sizes) <= MAX_TEXT_BYTES
    assert told["skipped"] == 200 - len(sizes)
    assert told["lines"][-1]["text"].startswith("199 ")


@pytest.mark.parametrize("after", ["0-1", "{run}-999"])
async def test_an_id_of_another_run_is_none(gateway: Gateway, after: str) -> None:
    add(gateway, "one")
    async with client(gateway) as http:
        answer = await http.get("/nexus/logs", params={"after": after.format(run=gateway.logs.run)})

    assert [line["text"] for line in answer.json()["lines"]] == ["one"]
    assert answer.json()["skipped"] == 0


@pytest.mark.parametrize(
    ("query", "param"),
    [("after=x", "after"), ("after=1", "after"), ("limit=0", "limit"), ("limit=99999", "limit")],
)
async def test_a_wrong_query_says_what_is_wrong(gateway: Gateway, query: str, param: str) -> None:
    async with client(gateway) as http:
        answer = await http.get(f"/nexus/logs?{query}")

    assert answer.status_code == 400
    assert param in answer.json()["error"]["param"]


async def test_readers_of_events_hear_that_the_log_has_grown(gateway: Gateway) -> None:
    from nexus_core.api.admin.events import EventStream

    stream = EventStream(gateway)
    list(stream.begin())
    assert stream.take() == b""
    add(gateway, "one")

    told = stream.take()

    assert f'"last_log": "{gateway.logs.run}-1"'.encode() in told
    assert stream.take() == b""
