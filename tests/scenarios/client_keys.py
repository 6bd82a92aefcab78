"""Created client keys, for scenarios: a Nexus that has an admin key, and what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from nexus_core.config.schema import (
    AuthConfig,
    ClientKey,
)
from tests.contract.scripted_upstream import ScriptedUpstream
from tests.scenarios.nexus import (
    Clock,
    Nexus,
    backend,
    running,
    say,
    upstreams,
)

ADMIN = {"Authorization": "Bearer the-admin-key"}
AUTH = AuthConfig(
    api_keys=(ClientKey(name="ops", value=b"the-ops-key"),), admin_key=b"the-admin-key"
)
MODELS = ("llama3:70b", "qwen2:72b")


@dataclass
class JumpingClock(Clock):
    """Its wall clock can be set without the other."""

    ahead: float = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def create(nexus: Nexus, name: str = "laptop", **limits: Any) -> str:
    body = {"name": name, **limits}
    answer = await nexus.http.post("/nexus/keys", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    secret: str = answer.json()["secret"]
    return secret


async def command(nexus: Nexus, path: str, **body: Any) -> dict[str, Any]:
    answer = await nexus.http.post(f"/nexus/keys/{path}", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def shown(nexus: Nexus, name: str = "laptop") -> dict[str, Any]:
    answer = await nexus.http.get(f"/nexus/keys/{name}", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@asynccontextmanager
async def served(**sections: Any) -> AsyncIterator[tuple[Nexus, ScriptedUpstream]]:
    """One restricted backend with two models, keys of the environment, and an admin key."""
    async with (
        upstreams(sections.pop("script", say)) as (upstream,),
        running(backend("b", upstream.url, models=MODELS, tier=2), auth=AUTH, **sections) as nexus,
    ):
        yield nexus, upstream


def asked(upstream: ScriptedUpstream) -> int:
    return len([one for one in upstream.received if one.method == "POST"])
