"""A captured request that is edited before it is replayed: never less strict than it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.control.commands import ReplayRequest, SendRequest
from nexus_core.errors import PermissionDeniedError
from nexus_core.types import PrivacyZone
from tests.control.test_replay import RESTRICTED, world
from tests.operators import OPERATOR


def edited(**hints: Any) -> SendRequest:
    messages = [{"role": "user", "content": "something else"}]
    return SendRequest(body=json.dumps({"model": "m", "messages": messages}).encode(), **hints)


async def test_an_edited_replay_sends_what_was_edited() -> None:
    async with world() as nexus:
        original = await nexus.ask()
        command = ReplayRequest(
            request_id=original, backend="spare", edited=edited(min_tier=0, priority="high")
        )

        outcome = await nexus.gateway.operator.execute(command, OPERATOR)

        new_id = outcome.data["request_id"]
        await nexus.finished(new_id)
        exchange, row = nexus.exchange(new_id), nexus.gateway.recent.get(new_id)
        assert row is not None
        assert b"something else" in exchange.body
        assert exchange.replay_of == original
        assert outcome.message == f"edited and replayed to spare as {new_id}"
        assert ("X-Nexus-Priority", "high") in row.request_headers
        assert nexus.gateway.actions.newest(1)[0].text.startswith("edited and replayed request")
        assert "something else" not in repr(command)


async def test_an_edited_replay_is_as_strict_as_the_original() -> None:
    async with world() as nexus:
        original = await nexus.ask(RESTRICTED)

        with pytest.raises(PermissionDeniedError, match="can't be replayed"):
            await nexus.carry_out(
                ReplayRequest(request_id=original, backend="cloud", edited=edited())
            )
        again = await nexus.carry_out(
            ReplayRequest(request_id=original, backend="spare", edited=edited())
        )

        assert nexus.received("cloud") == 0
        assert nexus.exchange(again).is_restricted


async def test_an_edited_replay_may_be_stricter_than_the_original() -> None:
    async with world() as nexus:
        original = await nexus.ask()
        command = ReplayRequest(
            request_id=original, backend="cloud", edited=edited(zone=PrivacyZone.RESTRICTED)
        )

        with pytest.raises(PermissionDeniedError):
            await nexus.carry_out(command)
