"""Client keys over the control API: what an attached dashboard sees and does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nexus_core.config.schema import AuthConfig, ClientKey, Config, StorageConfig
from nexus_core.errors import NexusError
from nexus_core.gateway import Gateway
from nexus_tui.sources.client_keys import KeyChange
from nexus_tui.sources.remote import RemoteSource
from nexus_tui.sources.remote_keys import change_call
from tests.api.in_thread import in_thread


@asynccontextmanager
async def attached(folder: Path, *, is_read_only: bool = False) -> AsyncIterator[RemoteSource]:
    auth = AuthConfig(api_keys=(ClientKey(name="ci", value=b"key-of-ci"),), admin_key=b"root")
    config = Config(auth=auth, storage=StorageConfig(path=str(folder / "n.db")))
    with in_thread(lambda: Gateway(config)) as port:
        url = f"http://127.0.0.1:{port}"
        async with RemoteSource(url, "Bearer root", is_read_only=is_read_only) as source:
            await source.connect()
            yield source


async def test_keys_are_made_and_changed_over_http(tmp_path: Path) -> None:
    async with attached(tmp_path) as source:
        made = await source.change_key(KeyChange("create", "laptop", {"rpm": "60"}))
        await source.change_key(KeyChange("limit", "laptop", {"tier": "2", "rpm": "none"}))
        turned = await source.change_key(KeyChange("rotate", "laptop", grace="1h"))
        await source.change_key(KeyChange("block", "laptop"))
        blocked = (await source.client_keys()).keys
        await source.change_key(KeyChange("unblock", "laptop"))
        free = (await source.client_keys()).keys
        await source.change_key(KeyChange("revoke", "laptop"))
        revoked = (await source.client_keys()).keys

    assert None not in (made.secret, turned.secret)
    assert made.secret != turned.secret
    assert [key.name for key in blocked] == ["laptop", "ci"]
    assert [keys[0].state for keys in (blocked, free, revoked)] == ["blocked", "active", "revoked"]
    assert (free[0].tier, free[0].rpm) == (2, None)
    assert free[0].old_secret_until is not None


async def test_a_refusal_is_told_in_its_words(tmp_path: Path) -> None:
    async with attached(tmp_path) as source:
        with pytest.raises(NexusError, match="key of the environment is called 'ci'"):
            await source.change_key(KeyChange("create", "ci"))
        with pytest.raises(NexusError, match="no created client key 'ghost'"):
            await source.change_key(KeyChange("revoke", "ghost"))


async def test_a_read_only_screen_asks_for_no_change(tmp_path: Path) -> None:
    async with attached(tmp_path, is_read_only=True) as source:
        with pytest.raises(NexusError, match="read-only"):
            await source.change_key(KeyChange("create", "laptop"))
        assert len((await source.client_keys()).keys) == 1


def test_a_name_is_one_part_of_the_path() -> None:
    assert change_call(KeyChange("revoke", "a/b")).path == "/nexus/keys/a%2Fb/revoke"
