"""What operators did: who, what and what came of it, wherever it is told; and nothing secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.load import load_config
from nexus_core.config.schema import (
    AuthConfig,
    BackendConfig,
    ClientKey,
    Config,
    StorageConfig,
)
from nexus_core.control.actions import (
    CAPACITY,
    Actions,
    Deed,
    deed_of,
)
from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
    Command,
    ProbeBackend,
    ReloadConfig,
    ReplayRequest,
    SaveConfig,
    SendRequest,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.control.config_file import ConfigControl
from nexus_core.errors import BackendNotFoundError, NexusError
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import OperatorActed
from nexus_core.types import Actor, PrivacyZone, Via
from tests.operators import OPERATOR
from tests.running import served
from tests.waiting import until

SCREEN = Actor(via=Via.SCREEN, name="root", session="5e55104d")
KEY = "sk-secret-of-the-backend"
ADMIN = "admin-key-of-nobody-else"
PROMPT = "a prompt that nobody else may read"


def make_gateway(path: Path | None = None) -> Gateway:
    backends = [
        BackendConfig(
            name=name,
            url="http://127.0.0.1:1",
            type=kind,
            zone=zone,
            tier=2,
            models={model: model for model in models},
            api_key=KEY if kind is BackendType.OPENAI else None,
        )
        for name, kind, zone, models in [
            ("local", BackendType.VLLM, PrivacyZone.RESTRICTED, ("both", "private")),
            ("cloud", BackendType.OPENAI, PrivacyZone.OPEN, ("both", "gpt-4o")),
        ]
    ]
    storage = StorageConfig(path=":memory:" if path is None else str(path))
    return Gateway(Config(backends=tuple(backends), storage=storage))


@pytest.fixture
def gateway() -> Gateway:
    return make_gateway()


def with_keys() -> Gateway:
    keys = (ClientKey(name="laptop", value=b"client-key-000000000000"),)
    auth = AuthConfig(api_keys=keys, admin_key=ADMIN.encode())
    gateway = make_gateway()
    return Gateway(gateway.config.model_copy(update={"auth": auth}))


def newest(gateway: Gateway) -> OperatorActed:
    return gateway.actions.newest(1)[0]


async def done(gateway: Gateway, command: Command, by: Actor = OPERATOR) -> OperatorActed:
    await gateway.operator.execute(command, by)
    return newest(gateway)


@pytest.mark.parametrize(
    ("command", "action", "target", "text", "effect"),
    [
        (
            SwitchZone(zone=PrivacyZone.OPEN, enabled=False, end_running=True),
            "zone_cut",
            "open",
            "cut the open zone",
            "no backend left for gpt-4o",
        ),
        (
            SwitchBackend(backend="local", enabled=False),
            "backend_off",
            "local",
            "switched local off",
            "no backend left for private",
        ),
        (
            SwitchBackend(backend="local", enabled=False, end_running=True),
            "backend_cut",
            "local",
            "cut local",
            "no backend left for private",
        ),
        (
            SwitchBackend(backend="local", enabled=True),
            "backend_on",
            "local",
            "switched local on",
            "it was on already",
        ),
        (SetTier(backend="local", tier=4), "tier_set", "local", None, "it was 2"),
        (SetPriority(backend="local", priority=7), "priority_set", "local", None, "it was 50"),
        (
            ClearCooldown(backend="local"),
            "cooldowns_cleared",
            "local",
            "cleared the cooldowns of local",
            "no cooldown to end",
        ),
        (CaptureBodies(enabled=True), "capture_started", None, "started body capture", None),
        (CaptureBodies(enabled=False), "capture_stopped", None, "stopped body capture", None),
    ],
)
async def test_what_is_changed_is_on_record_with_its_effect(
    gateway: Gateway,
    command: Command,
    action: str,
    target: str | None,
    text: str | None,
    effect: str | None,
) -> None:
    acted = await done(gateway, command)

    assert (acted.by, acted.action, acted.target) == (OPERATOR, action, target)
    assert (acted.effect, acted.error) == (effect, None)
    if text is not None:
        assert acted.text == text


async def test_what_failed_is_on_record_with_the_reason(gateway: Gateway) -> None:
    with pytest.raises(BackendNotFoundError):
        await gateway.operator.execute(SwitchBackend(backend="nobody", enabled=False), SCREEN)

    acted = newest(gateway)
    assert (acted.by, acted.action, acted.effect) == (SCREEN, "backend_off", None)
    assert acted.error == "there is no backend 'nobody'"
    assert acted.sentence == (
        "root at the screen switched nobody off: FAILED, there is no backend 'nobody'"
    )


@pytest.mark.parametrize(
    "command",
    [ProbeBackend(backend="local"), ReloadConfig(only_plan=True), SaveConfig(only_plan=True)],
)
async def test_what_changes_nothing_is_not_on_record(gateway: Gateway, command: Command) -> None:
    with suppress(NexusError):
        await gateway.operator.execute(command, OPERATOR)

    assert gateway.actions.newest() == []


async def test_a_reload_without_a_file_failed(gateway: Gateway) -> None:
    with pytest.raises(NexusError):
        await gateway.operator.execute(ReloadConfig(), Actor(via=Via.SIGNAL, name="SIGHUP"))

    assert newest(gateway).sentence == (
        "SIGHUP reloaded the config: FAILED, no config file in use: nothing to reload or save"
    )


@pytest.mark.parametrize(
    ("actor", "text"),
    [
        (SCREEN, "root at the screen"),
        (Actor(via=Via.SCREEN), "somebody at the screen"),
        (
            Actor(via=Via.ATTACHED, name="admin", address="10.0.0.5"),
            "admin attached from 10.0.0.5",
        ),
        (Actor(via=Via.API, address="127.0.0.1"), "somebody over the API from 127.0.0.1"),
        (Actor(via=Via.SIGNAL, name="SIGHUP"), "SIGHUP"),
    ],
)
def test_who_it_was_is_said_in_words(actor: Actor, text: str) -> None:
    assert str(actor) == text


def test_every_command_is_told_by_its_own_word() -> None:
    commands: list[Command] = [
        SwitchZone(zone=PrivacyZone.OPEN, enabled=True),
        SwitchZone(zone=PrivacyZone.OPEN, enabled=False),
        SwitchBackend(backend="a", enabled=True),
        SwitchBackend(backend="a", enabled=False),
        SwitchBackend(backend="a", enabled=False, end_running=True),
        ProbeBackend(backend="a"),
        ClearCooldown(backend="a"),
        SetTier(backend="a", tier=None),
        SetPriority(backend="a", priority=1),
        CaptureBodies(enabled=True),
        CaptureBodies(enabled=False),
        ReplayRequest(request_id="r1", backend="a"),
        SendRequest(body=b"{}"),
        ReloadConfig(),
        SaveConfig(),
    ]

    assert len({deed_of(command).action for command in commands}) == len(commands)


async def test_it_is_one_log_line_with_fixed_keys(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "nexus_core.control.actions"):
        await gateway.operator.execute(SwitchZone(zone=PrivacyZone.OPEN, enabled=False), SCREEN)
        with pytest.raises(NexusError):
            await gateway.operator.execute(SetTier(backend="x", tier=1), OPERATOR)

    first, second = [one for one in caplog.records if one.name == "nexus_core.control.actions"]
    assert first.getMessage() == (
        "root at the screen cut the open zone: no backend left for gpt-4o"
    )
    fields: dict[str, Any] = first.__dict__["fields"]
    assert fields == {
        "action": "zone_cut",
        "target": "open",
        "by": "root",
        "via": "screen",
        "address": None,
    }
    assert list(second.__dict__["fields"]) == list(fields)
    assert (first.levelname, second.levelname) == ("INFO", "WARNING")


async def test_it_is_an_event(gateway: Gateway) -> None:
    watched = gateway.bus.subscribe()

    await gateway.operator.execute(CaptureBodies(enabled=True), SCREEN)

    assert watched.drain()[-1] == newest(gateway)


def test_the_newest_are_kept() -> None:
    kept: list[OperatorActed] = []
    actions = Actions(EventBus(), lambda: 1.0, kept.append)

    for number in range(CAPACITY + 10):
        actions.note(OPERATOR, Deed("tier_set", "a", f"set it to {number}"), effect="a\nb" * 600)

    assert len(actions.newest()) == CAPACITY
    assert actions.newest(1)[0].text == f"set it to {CAPACITY + 9}"
    assert actions.newest(1)[0].effect == kept[-1].effect
    assert len(kept) == CAPACITY + 10
    effect = kept[0].effect or ""
    assert len(effect) == 500
    assert effect.startswith("a; ba; ba; ")


def test_the_past_comes_before_what_was_done_since_and_each_once() -> None:
    actions = Actions(EventBus(), lambda: 5.0, lambda _: None)
    actions.note(OPERATOR, Deed("tier_set", "a", "set it"))
    (now,) = actions.newest()
    old = OperatorActed(
        at=1.0, by=SCREEN, action="tier_set", target="a", text="x", effect=None, error=None
    )

    actions.recall([old, now])

    assert actions.newest() == [now, old]


# In the ledger -----------------------------------------------------------------------------------


async def test_what_was_done_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    first = make_gateway(path)
    async with served(first):
        await first.cost_tracker.opened.wait()
        await first.operator.execute(SwitchZone(zone=PrivacyZone.OPEN, enabled=False), SCREEN)
        with pytest.raises(NexusError):
            await first.operator.execute(SetTier(backend="x", tier=1), OPERATOR)
    before = first.actions.newest()

    second = make_gateway(path)
    async with served(second):
        await until(lambda: bool(second.actions.newest()))
        after = second.actions.newest()

    assert len(after) == 2
    assert [(one.at, one.sentence, one.action, one.target) for one in after] == [
        (one.at, one.sentence, one.action, one.target) for one in before
    ]
    assert after[0].by == OPERATOR


# Nothing secret ----------------------------------------------------------------------------------


def texts_in(path: Path) -> Iterator[bytes]:
    for file in path.parent.iterdir():
        yield file.read_bytes()


async def test_no_key_body_or_prompt_is_on_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "nexus.db"
    gateway = with_keys()
    gateway = Gateway(gateway.config.model_copy(update={"storage": StorageConfig(path=str(path))}))
    body = {"model": "private", "messages": [{"role": "user", "content": PROMPT}]}
    async with served(gateway) as url:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with httpx.AsyncClient(base_url=url, headers=headers) as http:
            await http.post("/nexus/capture", json={"enabled": True})
            sent = (await http.post("/nexus/send", json=body)).json()["data"]["request_id"]
            await http.post(f"/nexus/requests/{sent}/replay", json={"backend": "local"})
            await http.post("/nexus/send", json={**body, "messages": PROMPT})
            await http.post("/nexus/reload", json={})
            told = (await http.get("/nexus/actions")).text
            state = (await http.get("/nexus/state")).json()["actions"]
    logged = "\n".join(
        f"{one.getMessage()} {one.__dict__.get('fields')}"
        for one in caplog.records
        if one.name == "nexus_core.control.actions"
    )

    assert [one["action"] for one in state] == [
        "config_reloaded",
        "request_sent",
        "request_replayed",
        "request_sent",
        "capture_started",
    ]
    assert "replayed request" in logged
    for secret in (PROMPT, ADMIN, KEY):
        assert secret not in told
        assert secret not in str(state)
        assert secret not in logged
        assert not any(secret.encode() in text for text in texts_in(path))


async def test_a_reload_is_on_record_with_its_changes_and_no_excerpt_of_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "nexus.toml"
    backend = '[[backends]]\nname = "a"\ntype = "vllm"\nurl = "http://127.0.0.1:1"\n'
    path.write_text(backend)

    def read(_: Path | None) -> Config:
        return load_config(path, {})

    options = GatewayOptions(files=lambda live, _: ConfigControl(live, read, {}))
    gateway = Gateway(load_config(path, {}), options=options)

    path.write_text(f"{backend}priority = 7\n")
    done = await gateway.operator.execute(ReloadConfig(), OPERATOR)
    reloaded = newest(gateway)
    path.write_text(f'{backend}api_key_of_mine = "{KEY}"\n')
    with pytest.raises(NexusError) as refused:
        await gateway.operator.execute(ReloadConfig(), OPERATOR)

    assert reloaded.effect == "; ".join(done.lines)
    assert "priority" in (reloaded.effect or "")
    assert "\n" in refused.value.message  # with an excerpt, for the person who asked
    assert "api_key_of_mine" in (newest(gateway).error or "")
    assert "^" not in newest(gateway).sentence
    assert KEY not in newest(gateway).sentence
