"""The zeroconf boundary on loopback; skipped where the extra or multicast is missing."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

import pytest

from nexus_core.catalog import BackendType
from nexus_core.discovery.mdns import (
    Announced,
    Withdrawn,
    ZeroconfBrowser,
    create_browser,
    is_on_this_network,
    is_this_machine,
)

TYPE = "_ollama._tcp.local."
NAME = f"nexus-test.{TYPE}"


@pytest.mark.parametrize(
    ("host", "is_near"),
    [
        ("192.168.1.5", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.251", False),
        ("8.8.8.8", False),
        ("host.local", False),
    ],
)
def test_only_private_addresses_are_near(host: str, is_near: bool) -> None:
    assert is_on_this_network(host) is is_near


def test_own_addresses_are_told_from_others() -> None:
    assert is_this_machine("127.0.0.1")
    assert not is_this_machine("192.0.2.1")
    assert not is_this_machine("no address")


def test_without_the_extra_there_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert create_browser() is None


async def test_a_service_on_the_loopback_interface_is_heard_and_its_goodbye_too() -> None:
    zeroconf = pytest.importorskip("zeroconf")
    asyncio_zeroconf = pytest.importorskip("zeroconf.asyncio")
    info = zeroconf.ServiceInfo(
        TYPE, NAME, addresses=[b"\x7f\x00\x00\x01"], port=11434, server="nexus-test.local."
    )
    try:
        server = asyncio_zeroconf.AsyncZeroconf(
            interfaces=["127.0.0.1"], ip_version=zeroconf.IPVersion.V4Only
        )
    except OSError as error:
        pytest.skip(f"no multicast here: {error}")
    heard: list[object] = []
    try:
        async with aclosing(ZeroconfBrowser(["127.0.0.1"]).changes()) as changes:
            try:
                async with asyncio.timeout(10):
                    await (await server.async_register_service(info))
                    heard.append(await anext(changes))
                    await (await server.async_unregister_service(info))
                    heard.append(await anext(changes))
            except (TimeoutError, OSError) as error:
                pytest.skip(f"multicast does not come back on loopback: {error!r}")
    finally:
        await server.async_close()

    assert heard == [Announced(NAME, BackendType.OLLAMA, "127.0.0.1", 11434), Withdrawn(NAME)]
