"""What a process tells of itself, and what counts as a different configuration."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import AuthConfig, BackendConfig, ClientKey, Config, ServerConfig
from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.state.valkey.members import ago_ms, config_hash, missing, process_id
from nexus_core.types import PrivacyZone
from tests.state.links import member

CLOUD = BackendConfig(
    name="c",
    url="https://h",
    type=BackendType.OPENAI,
    zone=PrivacyZone.OPEN,
    api_key_env="C_KEY",
    api_key="hush",
)
BASE: dict[str, Any] = {"fleet": FleetConfig(url="redis://:a@h", replica="box-1")}


def hashed(**changes: Any) -> str:
    return config_hash(Config(**BASE | {"backends": (CLOUD,)} | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"server": ServerConfig(port=1, host="0.0.0.0")},  # noqa: S104
        {"fleet": FleetConfig(url="unix:///v", replica="box-2", advertise="http://h:1")},
        {"backends": (CLOUD.model_copy(update={"api_key": "other"}),)},
        {"auth": AuthConfig(api_keys=(ClientKey(name="a", value=b"k"),))},
    ],
)
def test_ports_names_and_keys_are_no_difference(changes: dict[str, Any]) -> None:
    assert hashed(**changes) == hashed()


@pytest.mark.parametrize(
    "changes",
    [
        {"server": ServerConfig(idle_timeout_seconds=1)},
        {"fleet": FleetConfig(url="redis://:a@h", when_alone="keep")},
        {"backends": ()},
        {"backends": (CLOUD.model_copy(update={"priority": 1}),)},
    ],
)
def test_what_serves_otherwise_is_one(changes: dict[str, Any]) -> None:
    assert hashed(**changes) != hashed()


def test_each_start_has_a_name_of_its_own() -> None:
    assert process_id("box-1", 2).startswith("box-1.2.")
    assert process_id("box-1", None) != process_id("box-1", None)


def test_who_lived_before_and_does_not_now_is_missing() -> None:
    one, two = member("box-1"), member("box-2", worker=1)
    before = (one, two, member("box-2", worker=2), member("box-3", is_dead=True))

    assert missing(before, (one, two)) == ["box-2"]
    assert missing(before, (member("box-2"), member("box-2"))) == ["box-1"]
    assert missing((), before) == []


def test_how_long_ago_each_was_heard_goes_on_while_there_is_no_word() -> None:
    members = (member("box-1", beat_seconds_ago=0.2), member("box-3", is_dead=True))

    assert ago_ms(members, 100.0, 101.5) == {"box-1.1": 1700}
