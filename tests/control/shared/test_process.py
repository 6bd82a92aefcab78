"""Where the other replicas and dashboards are told to find this one."""

from __future__ import annotations

import pytest

from nexus_core.config.schema import Config
from nexus_core.config.sections.fleet import FleetConfig, host_name
from nexus_core.gateway import Gateway

NOWHERE = "unix:///nowhere.sock"


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("10.0.0.7", "10.0.0.7"),
        ("::1", "[::1]"),
        ("0.0.0.0", host_name()),  # noqa: S104 - nothing is bound
        ("::", host_name()),
    ],
)
def test_who_listens_everywhere_is_found_by_the_host_name(host: str, told: str) -> None:
    shared = Gateway(Config(fleet=FleetConfig(url=NOWHERE))).shared
    assert shared is not None

    shared.listens_at(host, 8000)

    assert shared.address == f"http://{told}:8000"


def test_an_address_of_the_file_stays() -> None:
    fleet = FleetConfig(url=NOWHERE, advertise="https://nexus.example")
    shared = Gateway(Config(fleet=fleet)).shared
    assert shared is not None

    shared.listens_at("0.0.0.0", 8000)  # noqa: S104 - nothing is bound

    assert shared.address == "https://nexus.example"
