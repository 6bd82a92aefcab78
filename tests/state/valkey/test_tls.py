"""rediss://: a server with a certificate of a private CA, and what is told where that is wrong."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.wire import connected
from tests.fleet.certificates import Authority
from tests.fleet.cut import cut_before
from tests.fleet.server import StoreServer, free_port, store_server
from tests.state.valkey.processes import make, running
from tests.waiting import until

HOST = "localhost"


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=["proxy", "server"])
async def port(request: pytest.FixtureRequest, ours: Authority) -> AsyncIterator[int]:
    """Where a store speaks TLS: a proxy before that of the wheel, which can't, or one itself."""
    if request.param == "proxy":
        with store_server() as store:
            async with cut_before(store.socket, ours.context(HOST)) as front:
                yield int(front.url.rpartition(":")[2])
    else:
        with tls_server(ours, "--tls-auth-clients", "no") as (_, tls):
            yield tls


@contextmanager
def tls_server(ours: Authority, *options: str) -> Iterator[tuple[StoreServer, int]]:
    """A server of the machine's own, and its port for TLS; without one the test is skipped."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("no valkey-server or redis-server on the PATH")
    tried = subprocess.run(  # noqa: S603 - installed here
        [program, "--port", "0", "--tls-port", "1"], capture_output=True, text=True, check=False
    )
    if "Failed to configure TLS" not in tried.stdout:  # for want of a certificate
        pytest.skip(f"{program} has no TLS")
    certificate, key = map(str, ours.signed(HOST))
    files = ("--tls-cert-file", certificate, "--tls-key-file", key)
    tls = free_port()
    more = ("--tls-port", str(tls), *files, "--tls-ca-cert-file", str(ours.file), *options)
    with store_server(*more, program=program) as server:
        yield server, tls


async def why_not(url: str) -> str:
    with pytest.raises(StoreUnavailableError) as told:
        async with connected(FleetConfig(url=url)):
            pass
    return str(told.value)


async def test_a_fleet_works_by_tls_with_a_private_ca(port: int, ours: Authority) -> None:
    url = f"rediss://{HOST}:{port}?ssl_ca_certs={ours.file}"
    one, two = make(url, "box-1"), make(url, "box-2")

    async with running(one, two):
        await until(lambda: len(one.members) == len(two.members) == 2)
        beats = two.beats
        one.hurry()
        await until(lambda: two.beats > beats)


async def test_who_it_is_not_is_told(port: int, ours: Authority, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = Authority(tmp_path / "theirs")

    assert "not of a CA that is trusted" in await why_not(f"rediss://{HOST}:{port}")
    for_others = f"rediss://{HOST}:{port}?ssl_ca_certs={theirs.file}"
    assert "not of a CA that is trusted" in await why_not(for_others)
    address = f"rediss://127.0.0.1:{port}?ssl_ca_certs={ours.file}"
    assert "is for another name" in await why_not(address)
    missing = f"rediss://{HOST}:{port}?ssl_ca_certs={tmp_path / 'none.pem'}"
    assert "that its URL names is not there" in await why_not(missing)


async def test_without_tls_the_url_is_told_to_be_wrong(port: int) -> None:
    assert "write rediss:// in the URL" in await why_not(f"redis://{HOST}:{port}")


async def test_an_expired_certificate_is_told(ours: Authority) -> None:
    with store_server() as store:
        async with cut_before(store.socket, ours.context(HOST, days=-1)) as front:
            url = front.url.replace("127.0.0.1", HOST) + f"?ssl_ca_certs={ours.file}"
            assert await why_not(url) == "its certificate has expired"


async def test_tls_at_a_plain_port_is_told() -> None:
    with store_server(port=free_port()) as store:
        assert "write redis:// in the URL" in await why_not(store.url.replace("redis", "rediss"))


async def test_a_server_that_asks_for_a_certificate_gets_it(ours: Authority) -> None:
    with tls_server(ours) as (server, port):
        url = f"rediss://{HOST}:{port}?ssl_ca_certs={ours.file}"
        assert "want a certificate of this client" in await why_not(url)
        certificate, key = ours.signed("box-1")
        config = FleetConfig(url=f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}")
        async with connected(config) as wire:
            assert wire.facts.run_id in server.ask("INFO", "server")


@pytest.mark.parametrize("is_for_sentinels", [False, True])
async def test_behind_sentinels_with_tls_or_without(
    ours: Authority, is_for_sentinels: bool
) -> None:
    with store_server() as store:
        async with cut_before(store.socket, ours.context(HOST)) as front:
            port = int(front.url.rpartition(":")[2])
            monitor = "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n"
            monitor += f"sentinel monitor ours {HOST} {port} 1\n"
            sentinel = StoreServer(store.directory, port=free_port(), sentinel=monitor)
            try:
                sentinel.start()
                assert sentinel.port is not None
                async with cut_before(sentinel.port, ours.context(HOST)) as secure:
                    asked = (
                        int(secure.url.rpartition(":")[2]) if is_for_sentinels else sentinel.port
                    )
                    config = FleetConfig(
                        url=f"rediss://{HOST}?ssl_ca_certs={ours.file}",
                        sentinels=(f"{HOST}:{asked}",),
                        master="ours",
                    )
                    async with connected(config) as wire:
                        assert wire.facts.run_id in store.ask("INFO", "server")
            finally:
                sentinel.kill()
