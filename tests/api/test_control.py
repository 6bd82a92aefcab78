"""The control API over its FastAPI app, without sockets."""

import httpx
import pytest

from nexus_core.api.app import FrontDoor
from nexus_core.config import BackendConfig, Config
from nexus_core.events import BackendToggled, ZoneToggled
from nexus_core.gateway import Gateway
from nexus_core.types import BackendType, PrivacyZone


@pytest.fixture
def gateway() -> Gateway:
    backends = [
        BackendConfig(
            name=name,
            url="http://127.0.0.1:1",
            type=kind,
            zone=zone,
            models={"m": "m"},
            api_key="sk-0123456789" if kind is BackendType.OPENAI else None,
        )
        for name, kind, zone in [
            ("local", BackendType.VLLM, PrivacyZone.RESTRICTED),
            ("cloud", BackendType.OPENAI, PrivacyZone.OPEN),
        ]
    ]
    return Gateway(Config(backends=tuple(backends)))


def client(gateway: Gateway) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(FrontDoor(gateway))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


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
    assert [type(event) for event in watched.drain()] == [BackendToggled]


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
