"""Keys that a client puts where they do not belong: no list, log, event or file has them."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

import pytest

from nexus_core.config.schema import AuthConfig, ClientKey, StorageConfig
from nexus_core.observe.event_json import as_json
from tests.scenarios.client_keys import ADMIN, MODELS, bearer, command, create, served
from tests.scenarios.nexus import Nexus, cloud, error_of, running, say, upstreams
from tests.waiting import until

_CLIENTS, _ADMINS, _BACKENDS = "key-of-a-team-in-use", "the-operators-own-key", "cloud-key-12345678"


async def _told(nexus: Nexus, admin: dict[str, str], path: Path) -> str:
    """All that is shown and kept of what happened."""
    texts = [json.dumps(as_json(event)) for event in nexus.events()]
    for name in ("keys", "actions", "state", "requests", "logs"):
        answer = await nexus.http.get(f"/nexus/{name}", headers=admin)
        assert answer.status_code == 200
        texts.append(answer.text)
    for record in nexus.gateway.recent.newest(99):
        shown = await nexus.http.get(f"/nexus/requests/{record.request_id}", headers=admin)
        texts.append(shown.text)
    await until(lambda: path.exists())
    with sqlite3.connect(path) as connection:
        texts += list(connection.iterdump())
    connection.close()
    return "\n".join(texts)


async def test_a_stray_key_is_shown_and_kept_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = AuthConfig(
        api_keys=(ClientKey(name="team", value=_CLIENTS.encode()),), admin_key=_ADMINS.encode()
    )
    storage = StorageConfig(path=str(tmp_path / "nexus.db"))
    async with (
        upstreams(say) as (upstream,),
        running(cloud("far", upstream.url, api_key=_BACKENDS), auth=auth, storage=storage) as nexus,
    ):
        admin = bearer(_ADMINS)
        made = await nexus.http.post("/nexus/keys", json={"name": "laptop"}, headers=admin)
        created = made.json()["secret"]
        secrets = (_CLIENTS, _ADMINS, _BACKENDS, created)
        for secret in secrets:
            for stray in (
                {"X-Session-Id": secret},
                {"X-Claude-Code-Session-Id": "s", "X-Claude-Code-Agent-Id": secret},
                {"User-Agent": secret},
                {"User-Agent": f"tool/{secret} (x)"},
                {"User-Agent": "node", "X-Title": f"my {secret}"},
                {"X-Litellm-Api-Key": f"Bearer {secret}"},
                {"X-Long": f"{'x' * 300}{secret}"},
            ):
                answer = await nexus.ask(headers=bearer(_CLIENTS) | stray)
                assert answer.status_code == 200
            for model in (secret, f"openai/{secret}"):
                refused = await nexus.ask(model, headers=bearer(_CLIENTS))
                assert refused.status_code == 400
                assert error_of(refused)["param"] == "model"
                assert secret not in refused.text
            path = f"/v1beta/models/{secret}:generateContent"
            contents = {"contents": [{"parts": [{"text": "hi"}]}]}
            refused = await nexus.http.post(path, json=contents, headers=bearer(_CLIENTS))
            assert refused.status_code == 400
        await nexus.http.post(f"/nexus/keys/{created}/revoke", json={}, headers=admin)
        await nexus.http.post("/nexus/keys", json={"name": created}, headers=admin)
        everything = await _told(nexus, admin, tmp_path / "nexus.db")

    own = "\n".join(record.getMessage() for record in caplog.records if "http" not in record.name)
    for secret in secrets:
        assert secret not in everything + own
        assert secret.lower() not in everything + own
    assert "tool" in everything


async def test_a_secret_in_the_place_of_a_name_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (nexus, _):
        secret = await create(nexus)

        refused = [
            await nexus.http.post(path, json=body, headers=ADMIN)
            for path, body in (
                ("/nexus/keys", {"name": secret}),
                (f"/nexus/keys/{secret}/revoke", {}),
                (f"/nexus/keys/{secret}/rotate", {}),
                (f"/nexus/keys/{secret}", {"rpm": 5}),
            )
        ]

        assert {answer.status_code for answer in refused} == {400}
        assert {"secret" in error_of(answer)["message"] for answer in refused} == {True}
        assert (await nexus.ask(MODELS[0], headers=bearer(secret))).status_code == 200
        await command(nexus, "laptop/revoke")
    assert secret not in caplog.text
