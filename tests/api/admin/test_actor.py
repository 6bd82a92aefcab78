"""Who called the control API, as it is put on record."""

from __future__ import annotations

import httpx
import pytest

from nexus_core.api.app import FrontDoor
from nexus_core.control.actions import dashboard_agent, dashboard_session
from nexus_core.gateway import Gateway
from nexus_core.types import Actor, Via
from tests.control.test_actions import ADMIN, newest, with_keys


def client(gateway: Gateway, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(FrontDoor(gateway), client=("10.0.0.5", 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


async def test_the_api_tells_the_keys_name_and_the_address() -> None:
    gateway = with_keys()
    async with client(gateway, Authorization=f"Bearer {ADMIN}") as http:
        await http.post("/nexus/zones/open", json={"enabled": False})
        await http.post("/nexus/backends/local", json={"tier": 4})
        told = (await http.get("/nexus/actions", params={"limit": 1})).json()
        state = (await http.get("/nexus/state")).json()

    assert told["actions"] == [
        {
            "at": newest(gateway).at,
            "by": {"via": "api", "name": "admin", "address": "10.0.0.5", "session": None},
            "action": "tier_set",
            "target": "local",
            "text": "set the tier of local to 4",
            "effect": "it was 2",
            "error": None,
        }
    ]
    assert [acted["action"] for acted in state["actions"]] == ["tier_set", "zone_cut"]


async def test_an_attached_dashboard_is_told_from_other_callers(gateway: Gateway) -> None:
    async with client(gateway, **{"User-Agent": dashboard_agent("0123456789abcdef")}) as http:
        await http.post("/nexus/capture", json={"enabled": True})

    assert newest(gateway).by == Actor(
        via=Via.ATTACHED, address="10.0.0.5", session="0123456789abcdef"
    )


@pytest.mark.parametrize(
    "agent", ["", "curl/8", "nexus-dashboard/1", "nexus-dashboard/1 (session ../x)", "x" * 9000]
)
def test_another_user_agent_is_no_dashboard(agent: str) -> None:
    assert dashboard_session(agent) is None
