"""The control API over its FastAPI app, without sockets."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from nexus_core.api.admin.state import write_backend
from nexus_core.control.commands import (
    Command,
    Outcome,
    ReloadConfig,
    SaveConfig,
    SetPriority,
    SetTier,
    SwitchBackend,
)
from nexus_core.fleet.snapshot_json import snapshot_as_json
from nexus_core.gateway import Gateway
from nexus_core.observe.events import (
    BackendChanged,
    BackendToggled,
    CaptureToggled,
    OperatorActed,
    ZoneToggled,
)
from nexus_core.types import Actor, ModelDetails, PrivacyZone, Via
from tests.api.in_process import client


async def test_the_state_tells_backends_zones_and_numbers_but_no_key(gateway: Gateway) -> None:
    async with client(gateway) as http:
        answer = await http.get("/nexus/state")

    state = answer.json()
    assert [backend["name"] for backend in state["backends"]] == ["local", "cloud"]
    assert state["zones"] == {"restricted": True, "open": True}
    assert state["stats"]["requests"] == 0
    assert "sk-0123456789" not in answer.text


@pytest.mark.parametrize("change", [{"enabled": False}, {"drain": True}])
async def test_a_backend_is_switched_off_until_restart(
    gateway: Gateway, change: dict[str, bool]
) -> None:
    watched = gateway.bus.subscribe()
    async with client(gateway) as http:
        answer = await http.post("/nexus/backends/local", json=change)

    assert answer.status_code == 200
    assert answer.json()["backend"]["enabled"] is False
    assert answer.json()["lasts"] == "until restart"
    assert [type(event) for event in watched.drain()] == [BackendToggled, OperatorActed]


async def test_a_zone_is_switched_off_and_on(gateway: Gateway) -> None:
    watched = gateway.bus.subscribe()
    async with client(gateway) as http:
        off = await http.post("/nexus/zones/open", json={"enabled": False, "end_running": True})
        again = await http.post("/nexus/zones/open", json={"enabled": False})
        models = await http.get("/nexus/state")
        on = await http.post("/nexus/zones/open", json={"enabled": True})

    assert off.json() == {
        "message": "the open zone is off until restart",
        "lines": [],
        "data": {"ended": 0},
        "zone": "open",
        "enabled": False,
        "ended": 0,
        "lasts": "until restart",
    }
    assert again.status_code == 200
    assert models.json()["zones"] == {"restricted": True, "open": False}
    assert on.json()["enabled"] is True
    toggles = [event for event in watched.drain() if isinstance(event, ZoneToggled)]
    assert [(event.zone, event.enabled) for event in toggles] == [
        (PrivacyZone.OPEN, False),
        (PrivacyZone.OPEN, True),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/nexus/backends/nobody", {"enabled": True}, 404, "backend"),
        ("/nexus/backends/local", {}, 400, None),
        ("/nexus/backends/local", {"enabled": "yes"}, 400, None),
        ("/nexus/backends/local", {"enabled": True, "drain": True}, 400, None),
        ("/nexus/backends/local", {"drain": False}, 400, None),
        ("/nexus/backends/local", {"enabled": True, "x": 1}, 400, None),
        ("/nexus/backends/local", {"end_running": True}, 400, None),
        ("/nexus/backends/local", {"enabled": None}, 400, None),
        ("/nexus/backends/local", {"priority": None}, 400, None),
        ("/nexus/backends/local", {"priority": "high"}, 400, None),
        ("/nexus/backends/local", {"tier": 5}, 400, None),
        ("/nexus/backends/local", {"tier": 2, "priority": 3}, 400, None),
        ("/nexus/backends/local", {"enabled": True, "end_running": True}, 400, None),
        ("/nexus/backends/local", {"tier": 2, "end_running": True}, 400, None),
        ("/nexus/backends/nobody", {"tier": 1}, 404, "backend"),
        ("/nexus/backends/nobody/probe", {}, 404, "backend"),
        ("/nexus/capture", {}, 400, None),
        ("/nexus/capture", {"enabled": 1}, 400, None),
        ("/nexus/requests/none/replay", {}, 400, None),
        ("/nexus/requests/none/replay", {"backend": "local"}, 404, "request_id"),
        ("/nexus/requests/none/replay", {"backend": "local", "headers": {}}, 400, "headers"),
        (
            "/nexus/requests/none/replay",
            {"backend": "local", "body": {}, "headers": {"Authorization": "x"}},
            400,
            "headers",
        ),
        (
            "/nexus/requests/none/replay",
            {"backend": "local", "body": {}, "headers": {"X-Nexus-Min-Tier": "9"}},
            400,
            "X-Nexus-Min-Tier",
        ),
        ("/nexus/reload", {"only_plan": "yes"}, 400, None),
        ("/nexus/zones/private", {"enabled": True}, 400, None),
        ("/nexus/zones/open", {"enabled": None}, 400, None),
        ("/nexus/nothing", {}, 404, None),
    ],
)
async def test_a_wrong_command_changes_nothing_and_says_what_is_wrong(
    gateway: Gateway, path: str, body: dict[str, object], status: int, param: str | None
) -> None:
    before = gateway.registry.snapshots()
    async with client(gateway) as http:
        answer = await http.post(path, json=body)

    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"
    if param is not None:
        assert answer.json()["error"]["param"] == param
    assert gateway.registry.snapshots() == before


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"cooldown": True}, "body.cooldown", "body.cooldown: Input should be false"),
        ({"drain": False}, "body.drain", "body.drain: Input should be true"),
        ({"priority": "high"}, "body.priority", "body.priority: Input should be a valid integer"),
        ({}, "body", "body: one of enabled, drain, tier, priority and cooldown is required"),
    ],
)
async def test_what_is_wrong_with_a_command_is_told_in_the_words_of_json(
    gateway: Gateway, body: dict[str, object], param: str, message: str
) -> None:
    async with client(gateway) as http:
        error = (await http.post("/nexus/backends/local", json=body)).json()["error"]

    assert (error["param"], error["message"]) == (param, message)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_changes_anything(gateway: Gateway, kind: str) -> None:
    async with client(gateway) as http:
        answer = await http.post(
            "/nexus/backends/local",
            content=b'{"enabled": false}',
            headers={"content-type": kind},
        )

    assert answer.status_code == 400
    assert gateway.registry.snapshot("local").enabled


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        (
            "/nexus/backends/local",
            {"enabled": False, "end_running": True},
            SwitchBackend(backend="local", enabled=False, end_running=True),
        ),
        ("/nexus/backends/local", {"drain": True}, SwitchBackend(backend="local", enabled=False)),
        ("/nexus/backends/local", {"tier": None}, SetTier(backend="local", tier=None)),
        ("/nexus/backends/local", {"tier": 2}, SetTier(backend="local", tier=2)),
        ("/nexus/backends/local", {"priority": -5}, SetPriority(backend="local", priority=-5)),
        ("/nexus/reload", {"only_plan": True}, ReloadConfig(only_plan=True)),
        ("/nexus/reload", {}, ReloadConfig()),
        ("/nexus/save", {"only_plan": True}, SaveConfig(only_plan=True)),
    ],
)
async def test_a_call_is_the_command_that_the_dashboard_gives(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, path: str, body: object, command: Command
) -> None:
    given: list[Command] = []

    async def execute(wanted: Command, by: Actor) -> Outcome:
        assert by == Actor(via=Via.API, address="127.0.0.1")
        given.append(wanted)
        return Outcome(message="done", lines=("one", "two"), data={"x": 1})

    monkeypatch.setattr(gateway.operator, "execute", execute)
    async with client(gateway) as http:
        answer = (await http.post(path, json=body)).json()

    assert given == [command]
    told = (answer["message"], answer["lines"], answer["data"])
    assert told == ("done", ["one", "two"], {"x": 1})


async def test_rank_and_capture_are_changed_and_told(gateway: Gateway) -> None:
    seen = gateway.bus.subscribe()
    async with client(gateway) as http:
        tier = await http.post("/nexus/backends/local", json={"tier": 4})
        await http.post("/nexus/backends/local", json={"priority": 7})
        await http.post("/nexus/backends/local", json={"priority": 7})
        capture = await http.post("/nexus/capture", json={"enabled": True})
        await http.post("/nexus/capture", json={"enabled": True})
        state = (await http.get("/nexus/state")).json()

    assert tier.json()["backend"]["tier"] == 4
    assert (state["backends"][0]["tier"], state["backends"][0]["priority"]) == (4, 7)
    assert (capture.json()["enabled"], state["capture"]) == (True, True)
    events = [event for event in seen.drain() if not isinstance(event, OperatorActed)]
    assert [type(event) for event in events] == [BackendChanged, BackendChanged, CaptureToggled]
    assert isinstance(events[1], BackendChanged)
    assert (events[1].tier, events[1].priority) == (4, 7)


async def test_a_backend_with_many_models_is_told_as_one_with_few(gateway: Gateway) -> None:
    names = [f"model-{number}" for number in range(2500)]
    details = {name: ModelDetails(is_loaded=True, context_tokens=4096) for name in names}
    few = replace(gateway.registry.snapshot("local"), models={"m": "m"}, details={})
    many = replace(few, models={name: name for name in names}, details=details)

    written = [json.loads(await write_backend(one, 0.0)) for one in (few, many)]

    assert written == [json.loads(json.dumps(snapshot_as_json(one, 0.0))) for one in (few, many)]
