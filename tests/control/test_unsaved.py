"""What differs from the file: told, chosen from, saved, and then the same as the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.changes import AddBackend, SetBackend, SetZone
from nexus_core.config.load import load_config
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.control.commands import SaveConfig
from nexus_core.control.config_file import ConfigControl
from nexus_core.control.unsaved import Unsaved, as_json, chosen, unsaved, with_saved
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.types import Actor, PrivacyZone, Via

BY = Actor(via=Via.SCREEN)
TEXT = """# mine
[[backends]]
name = "a"
url = "http://127.0.0.1:9"
type = "vllm"
priority = 90  # the fast one
models = ["m"]

[[backends]]
name = "b"
url = "http://127.0.0.1:9"
type = "vllm"
models = ["m"]
"""
B_OFF = SetBackend("b", "enabled", value=False)
A_LATER = SetBackend("a", "priority", 10)
CUT = SetZone(PrivacyZone.OPEN, enabled=False)


def make(tmp_path: Path) -> tuple[Gateway, Path]:
    path = tmp_path / "nexus.toml"
    path.write_text(TEXT)

    def read(_: Path | None = None) -> Config:
        return load_config(path, {})

    options = GatewayOptions(files=lambda live, _: ConfigControl(live, read, {}))
    return Gateway(read(), options=options), path


def test_a_change_is_told_in_words() -> None:
    told = [
        Unsaved(id="b.enabled", backend="b", key="enabled", now=False, file=True),
        Unsaved(id="a.tier", backend="a", key="tier", now=None, file=3),
        Unsaved(id="new", backend="new"),
    ]

    assert [one.text for one in told] == [
        "b: off, on in the file",
        "a: tier none, 3 in the file",
        "new: not in the file",
    ]
    assert as_json(told)[1] == {
        "id": "a.tier",
        "backend": "a",
        "key": "tier",
        "now": None,
        "file": 3,
        "text": "a: tier none, 3 in the file",
    }


async def test_a_gateway_tells_what_differs_and_nothing_where_there_is_no_file(
    tmp_path: Path,
) -> None:
    gateway, _ = make(tmp_path)
    without = Gateway(gateway.config.model_copy(update={"path": None}))

    before = gateway.unsaved
    for registry in (gateway.registry, without.registry):
        registry.set_enabled("b", enabled=False)
        registry.set_rank("a", tier=None, priority=10)
        registry.set_zone_enabled(PrivacyZone.OPEN, enabled=False)

    assert before == ()
    assert [one.id for one in gateway.unsaved] == ["a.priority", "b.enabled"]
    assert gateway.unsaved is gateway.unsaved
    assert without.unsaved == ()


async def test_only_what_is_chosen_is_written_and_the_rest_stays_unsaved(tmp_path: Path) -> None:
    gateway, path = make(tmp_path)
    gateway.registry.set_enabled("b", enabled=False)
    gateway.registry.set_rank("a", tier=None, priority=10)

    every = await gateway.operator.execute(SaveConfig(only_plan=True), BY)
    plan = await gateway.operator.execute(SaveConfig(only_plan=True, only=("b.enabled",)), BY)
    untouched = path.read_text()
    await gateway.operator.execute(SaveConfig(only=("b.enabled",)), BY)

    assert [one["id"] for one in every.data["changes"]] == ["a.priority", "b.enabled"]
    assert "+enabled = false" in plan.lines
    assert not any("priority = 10" in line for line in plan.lines)
    assert untouched == TEXT
    assert "enabled = false" in path.read_text()
    assert "priority = 90  # the fast one" in path.read_text()
    assert [one.id for one in gateway.unsaved] == ["a.priority"]


async def test_what_was_saved_is_what_the_file_is_compared_with_later(tmp_path: Path) -> None:
    gateway, _ = make(tmp_path)
    gateway.registry.set_enabled("b", enabled=False)

    await gateway.operator.execute(SaveConfig(), BY)
    saved = gateway.unsaved
    gateway.registry.set_enabled("b", enabled=True)

    assert saved == ()
    assert [one.text for one in gateway.unsaved] == ["b: on, off in the file"]


async def test_a_change_that_there_is_not_is_refused(tmp_path: Path) -> None:
    gateway, path = make(tmp_path)
    gateway.registry.set_enabled("b", enabled=False)

    with pytest.raises(InvalidRequestError, match=r"c\.tier is not an unsaved change"):
        await gateway.operator.execute(SaveConfig(only=("c.tier",)), BY)

    assert path.read_text() == TEXT


def test_of_no_names_nothing_is_chosen_and_of_none_everything() -> None:
    assert chosen([B_OFF, A_LATER, CUT], ()) == ()
    assert chosen([B_OFF, A_LATER, CUT], None) == (B_OFF, A_LATER, CUT)
    assert chosen([B_OFF, A_LATER], ["a.priority"]) == (A_LATER,)


def test_a_saved_configuration_has_the_values(tmp_path: Path) -> None:
    gateway, _ = make(tmp_path)
    new = BackendConfig(
        name="new", url="http://127.0.0.1:9", type=BackendType.VLLM, zone=PrivacyZone.OPEN
    )

    config = with_saved(gateway.config, [B_OFF, A_LATER, AddBackend(new), CUT])

    assert {one.name: (one.enabled, one.priority) for one in config.backends} == {
        "a": (True, 10),
        "b": (False, 50),
        "new": (True, 50),
    }
    assert unsaved([], config) == ()
