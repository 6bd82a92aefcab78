"""Lists of models: every one once, in slices, and told again only when they change."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest

from nexus_core.api.admin.state import read_state, write_state
from nexus_core.api.app import FrontDoor
from nexus_core.api.models import View, find_model, list_models
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, RoutingConfig, StorageConfig
from nexus_core.gateway import Gateway
from nexus_core.types import PrivacyZone, ProbeResult

MANY = tuple(f'model "{number}" ü' for number in range(10_000))


def gateway(*served: tuple[str, ...], **aliases: str) -> Gateway:
    backends = tuple(
        BackendConfig(
            name=f"b{number}",
            url=f"http://127.0.0.1:{number + 1}",
            type=BackendType.VLLM,
            zone=PrivacyZone.RESTRICTED,
            models={name: name for name in names} or None,
        )
        for number, names in enumerate(served)
    )
    storage, routing = StorageConfig(path=":memory:"), RoutingConfig(aliases=aliases)
    return Gateway(Config(backends=backends, storage=storage, routing=routing))


def listed(body: bytes) -> list[tuple[str, str]]:
    return [(entry["id"], entry["owned_by"]) for entry in json.loads(body)["data"]]


async def test_each_model_is_listed_once_and_aliases_last() -> None:
    nexus = gateway(("a", "b"), ("b", "c"), ("d",), short="c", off="d", nobody="x", a="c")
    nexus.registry.set_enabled("b2", False)

    assert listed(await list_models(View(nexus, None))) == [
        ("a", "b0"),
        ("b", "b0"),
        ("c", "b1"),
        ("short", "b1"),
    ]


@pytest.mark.parametrize("name", ["a", "b", "c", "d", "short", "off", "nobody", "x", ""])
async def test_a_model_is_found_where_it_is_listed(name: str) -> None:
    nexus = gateway(("a", "b"), ("b", "c"), ("d",), short="c", off="d", nobody="x")
    nexus.registry.set_enabled("b2", False)

    entries = {
        entry["id"]: entry for entry in json.loads(await list_models(View(nexus, None)))["data"]
    }

    assert find_model(View(nexus, None), name) == entries.get(name)


@pytest.mark.parametrize("path", ["/v1/models", "/v1beta/models"])
async def test_a_name_that_is_not_served_is_told_with_those_near_it(path: str) -> None:
    transport = httpx.ASGITransport(FrontDoor(gateway(("qwen3:8b",), ("llama3",))))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        near, far = [(await client.get(f"{path}/{name}")) for name in ("qwen3", "zzz")]

    assert (near.status_code, far.status_code) == (404, 404)
    assert near.json()["error"]["message"].endswith("is not served here; did you mean qwen3:8b?")
    assert far.json()["error"]["message"].endswith(f"GET {path} lists the models")


def test_a_glob_is_listed_nowhere_and_a_name_it_matches_is_found() -> None:
    nexus = gateway(("a",), **{"claude-*": "a", "gone-*": "x"})

    assert listed(asyncio.run(list_models(View(nexus, None)))) == [("a", "b0")]
    found = find_model(View(nexus, None), "claude-haiku-4-5")
    assert found is not None
    assert (found["id"], found["owned_by"]) == ("claude-haiku-4-5", "b0")
    assert find_model(View(nexus, None), "gone-1") is None


def test_the_name_that_is_shown_of_an_alias_tells_its_model() -> None:
    nexus = gateway(("qwen3",), **{"claude-local": "qwen3", "claude-*": "qwen3"})

    plain, alias = json.loads(asyncio.run(list_models(View(nexus, None))))["data"]
    found = find_model(View(nexus, None), "claude-x")

    assert (plain["id"], plain["display_name"]) == ("qwen3", "qwen3")
    assert (alias["id"], alias["display_name"]) == ("claude-local", "claude-local (qwen3)")
    assert found is not None
    assert found["display_name"] == "claude-x (qwen3)"


def steps(work: Coroutine[Any, Any, bytes]) -> tuple[int, bytes]:
    """How often it gives the loop its turn, and what it returns."""
    count = 0
    while True:
        try:
            work.send(None)
        except StopIteration as end:
            result: bytes = end.value
            return count, result
        count += 1


async def test_thousands_are_listed_in_slices() -> None:
    count, body = steps(list_models(View(gateway(MANY), None)))

    assert [name for name, _ in listed(body)] == list(MANY)
    assert count >= 20


async def test_the_state_is_written_in_slices_and_says_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside the loop, and each time only so much: writing JSON holds the interpreter."""
    nexus = gateway(MANY, ("a",), ())
    written: dict[bool, list[int]] = {True: [], False: []}  # by the loop? how much at once
    dumps = json.dumps

    def counting(value: object) -> str:
        text = dumps(value)
        written[threading.current_thread() is threading.main_thread()].append(len(text))
        return text

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", counting)
        body = await write_state(nexus)

    told, plain = json.loads(body), read_state(nexus)
    for volatile in ("at", "stats"):
        told.pop(volatile)
        plain.pop(volatile)
    assert told == json.loads(json.dumps(plain))
    by_loop, beside = written[True], written[False]
    assert sum(beside) > 9 * max(*by_loop, *beside)


async def test_the_state_is_json_for_its_reader() -> None:
    transport = httpx.ASGITransport(FrontDoor(gateway(("a",))))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/nexus/state")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["backends"][0]["models"] == {"a": "a"}


def test_a_probe_that_finds_the_same_models_keeps_the_same_value() -> None:
    nexus = gateway(("a",))
    nexus.live.add_backend(
        BackendConfig(
            name="found", url="http://127.0.0.1:9", type=BackendType.VLLM, zone=PrivacyZone.OPEN
        )
    )

    seen = []
    for models in (("m", "n"), ("m", "n"), ("m",)):
        result = ProbeResult(elapsed_ms=1, models=models)
        nexus.health.take_in("found", result)
        seen.append(nexus.registry.snapshot("found").models)

    assert seen[0] is seen[1]
    assert dict(seen[2]) == {"m": "m"}
