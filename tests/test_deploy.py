"""The files in deploy/ fit each other, and the configuration they run with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nexus_core.config.load import load_config

DEPLOY = Path(__file__).parent.parent / "deploy"
ENVIRON = {
    "NEXUS_API_KEYS": "laptop:not-a-secret-of-anybody",
    "NEXUS_REDIS_URL": "redis://valkey:6379",
    "NEXUS_DATABASE_URL": "postgresql://nexus:nobodys@postgres/nexus",
}
REPLICAS = ("nexus-1", "nexus-2", "nexus-3")


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found["services"]


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([sm])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def test_the_configuration_of_the_replicas_is_right(services: dict[str, Any]) -> None:
    config = load_config(DEPLOY / "nexus.toml", ENVIRON)

    assert config.fleet is not None
    assert config.fleet.replicas == len(REPLICAS)
    for name in REPLICAS:
        environment = services[name]["environment"]
        assert {config.fleet.url_env, config.storage.url_env} <= environment.keys()
        assert {
            one.api_key_env for one in config.backends if one.type.is_cloud
        } <= environment.keys()
        assert services[name]["hostname"] == name  # which it is named after
    volumes = [services[name]["volumes"][1] for name in REPLICAS]
    assert len(set(volumes)) == len(REPLICAS)  # each has a ledger of its own
    assert {volume.partition(":")[2] for volume in volumes} == {
        str(Path(str(config.storage.path)).parent)
    }


def test_no_replica_is_killed_before_its_requests_are_done(services: dict[str, Any]) -> None:
    server = load_config(DEPLOY / "nexus.toml", ENVIRON).server

    for name in REPLICAS:
        grace = seconds(services[name]["stop_grace_period"])
        assert grace > server.drain_seconds + server.shutdown_grace_seconds


def test_the_balancer_knows_every_replica_and_outwaits_them(services: dict[str, Any]) -> None:
    text = (DEPLOY / "haproxy.cfg").read_text("utf-8")
    server = load_config(DEPLOY / "nexus.toml", ENVIRON).server

    assert re.findall(r"^ +server (\S+) (\S+)$", text, re.M) == [
        (name, f"{name}:{server.port}") for name in REPLICAS
    ]
    for side in ("client", "server"):
        found = re.search(rf"timeout {side} +(\w+)", text)
        assert found is not None
        assert seconds(found[1]) > server.request_timeout_seconds
    checked = re.search(r"inter (\w+) fall (\d+)", text)
    assert checked is not None
    assert server.drain_seconds > seconds(checked[1]) * int(checked[2])
    assert services["balancer"]["ports"] == ["8000:8000"]


def test_the_balancer_finds_a_replica_that_is_made_anew_elsewhere() -> None:
    text = (DEPLOY / "haproxy.cfg").read_text("utf-8")

    names = re.search(r"^resolvers (\S+)\n +parse-resolv-conf", text, re.M)
    assert names is not None
    (servers,) = re.findall(r"^ +default-server (.*)$", text, re.M)
    assert f"resolvers {names[1]}" in servers
    assert re.search(r"init-addr \S*none$", servers)  # it starts where one is not there yet


def test_the_store_evicts_nothing_and_forgets_nothing(services: dict[str, Any]) -> None:
    command = services["valkey"]["command"]

    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--appendonly") + 1] == "yes"


def test_every_secret_is_asked_for_by_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text("utf-8")))
    example = re.findall(r"^([A-Z_]+)=", (DEPLOY / "env.example").read_text("utf-8"), re.M)

    assert asked == set(example)
