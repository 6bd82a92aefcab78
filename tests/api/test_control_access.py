"""Who may use the control API: the same for every one of its routes."""

from __future__ import annotations

import json

import pytest

from nexus_core.api.routes import create_app
from nexus_core.config.schema import AuthConfig, ClientKey, Config
from nexus_core.gateway import Gateway
from tests.api.in_process import client

GETS = (
    "/nexus/state",
    "/nexus/actions",
    "/nexus/costs",
    "/nexus/events",
    "/nexus/keys",
    "/nexus/keys/local",
    "/nexus/logs",
    "/nexus/replicas",
    "/nexus/replicas/local/nexus/state",
    "/nexus/requests",
    "/nexus/requests/none",
    "/nexus/requests/none/bodies",
)
POSTS: dict[str, dict[str, object]] = {
    "/nexus/backends/local": {"enabled": False},
    "/nexus/backends/local/probe": {},
    "/nexus/zones/open": {"enabled": False},
    "/nexus/capture": {"enabled": True},
    "/nexus/requests/none/replay": {"backend": "local"},
    "/nexus/keys": {"name": "laptop"},
    "/nexus/keys/local": {"rpm": 5},
    "/nexus/keys/local/rotate": {},
    "/nexus/keys/local/revoke": {},
    "/nexus/keys/local/block": {"blocked": True},
    "/nexus/fleet/forget": {"replica": "box-2"},
    "/nexus/reload": {},
    "/nexus/save": {},
    "/nexus/explain": {"model": "m", "messages": [{"role": "user", "content": ""}]},
    "/nexus/send": {"model": "m", "messages": [{"role": "user", "content": ""}]},
}
ROUTES = [("GET", path) for path in GETS] + [("POST", path) for path in POSTS]


def keyed() -> Gateway:
    keys = (ClientKey(name="alice", value=b"ka"),)
    return Gateway(Config(auth=AuthConfig(api_keys=keys, admin_key=b"root")))


def test_no_route_of_the_control_api_is_missing_here() -> None:
    paths = create_app(keyed()).openapi()["paths"]

    known = {
        path.replace("{name}", "local")
        .replace("{zone}", "open")
        .replace("{request_id}", "none")
        .replace("{path}", "nexus/state")
        for path in paths
        if path.startswith("/nexus")
    }
    assert known == {path for _, path in ROUTES}


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer nobody"}, 401),
        ({"authorization": "Bearer ka"}, 403),
        ({"x-api-key": "ka"}, 403),
    ],
)
async def test_every_route_takes_the_admin_key_only(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    watched = keyed()
    seen = watched.bus.subscribe()
    async with client(watched) as http:
        answer = await http.request(method, path, json=POSTS.get(path), headers=headers)

    assert answer.status_code == status
    assert seen.drain() == []


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_without_keys_no_route_is_open_to_other_hosts_and_origins(
    gateway: Gateway, method: str, path: str, headers: dict[str, str]
) -> None:
    seen = gateway.bus.subscribe()
    async with client(gateway) as http:
        answer = await http.request(method, path, json=POSTS.get(path), headers=headers)

    assert answer.status_code == 403
    assert seen.drain() == []


@pytest.mark.parametrize("path", POSTS)
async def test_every_change_is_a_post_of_json(gateway: Gateway, path: str) -> None:
    seen = gateway.bus.subscribe()
    async with client(gateway) as http:
        as_text = await http.post(
            path, content=json.dumps(POSTS[path]), headers={"content-type": "text/plain"}
        )
        others = [(await http.request(method, path)).status_code for method in ("PUT", "PATCH")]

    assert as_text.status_code == 400
    assert others == [405, 405]
    assert seen.drain() == []
    assert not gateway.captures.is_on
