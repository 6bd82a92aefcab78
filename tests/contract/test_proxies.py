"""A company's network: clouds behind proxies, with TLS from end to end, by the real command."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.contract.bodies import chat
from tests.contract.nexus_process import (
    NexusProcess,
    backend_table,
    clean_environment,
    config_text,
)
from tests.contract.scripted_upstream import ScriptedUpstream, answers
from tests.scenarios.nexus import CHAT, say
from tests.upstream.proxies import HttpProxy, SocksProxy

HOST = "api.vendor.example"  # only the proxies know where it is
KEY = "sk-0123456789abcdef"
PASSWORD = "hush-hush"  # noqa: S105  nobody's


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate for the vendor and for loopback, which whoever is given `file` trusts."""

    context: ssl.SSLContext
    file: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    whole = folder / "whole.pem"
    file = folder / "certificate.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    whole.write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(whole)
    return Tls(context, file)


class Vendor(ScriptedUpstream):
    """A cloud that is reached by TLS."""

    def __init__(self, tls: Tls) -> None:
        super().__init__()
        self._tls = tls
        self.script = say
        self.listing = answers({"data": [{"id": "m"}]})

    async def __aenter__(self) -> Vendor:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._tls.context
        )
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(exc_type, exc, traceback)


def config(directory: Path, **more: object) -> None:
    table = backend_table(
        "vendor", f"https://{HOST}/v1", ["m"], type="openai", api_key_env="VENDOR_KEY", **more
    )
    checks = "[health_check]\ninterval_seconds = 60\n"
    (directory / "nexus.toml").write_text(config_text(table, more=checks))


async def ask(directory: Path, **environment: str) -> tuple[httpx.Response, str]:
    """The answer of a Nexus of this directory to one chat, and what it logged."""
    nexus = NexusProcess(directory)
    # The certificates are read when the HTTP library is imported.
    await nexus.start([], {"VENDOR_KEY": KEY} | environment, is_fresh=True)
    try:
        async with httpx.AsyncClient(base_url=nexus.url, timeout=20) as client:
            answer = await client.post(CHAT, json=chat("m"))
    finally:
        nexus.terminate()
        await nexus.wait()
    return answer, nexus.stderr


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", None])
@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
async def test_a_cloud_is_reached_through_a_proxy(
    tmp_path: Path, tls: Tls, kind: type[HttpProxy] | type[SocksProxy], variable: str | None
) -> None:
    async with Vendor(tls) as vendor, kind(vendor.url) as proxy:
        config(tmp_path, **({} if variable else {"proxy": proxy.url}))
        environment = {variable: proxy.url} if variable else {}

        answer, log = await ask(tmp_path, SSL_CERT_FILE=str(tls.file), **environment)

        assert answer.status_code == 200
        assert vendor.last.header("authorization") == f"Bearer {KEY}"
        assert vendor.last.target == CHAT
        library = " with httpx" if kind is SocksProxy else ""
        assert f"backend=vendor goes through the proxy {proxy.url}{library}\n" in log
        if isinstance(proxy, HttpProxy):
            assert {(asked.method, asked.target) for asked in proxy.asked} == {
                ("CONNECT", f"{HOST}:443")
            }
            assert not [asked for asked in proxy.asked if "authorization" in asked.headers]
        else:
            assert set(proxy.asked) == {(HOST, 443)}


async def test_a_proxy_may_be_reached_by_tls_itself_and_ask_for_a_password(
    tmp_path: Path, tls: Tls
) -> None:
    proxy = HttpProxy("", credentials=("me", PASSWORD))
    proxy.tls = tls.context
    async with Vendor(tls) as vendor:
        proxy.leads_to(vendor.url)
        async with proxy:
            config(tmp_path)
            named = proxy.url.replace("://", f"://me:{PASSWORD}@")

            answer, log = await ask(tmp_path, SSL_CERT_FILE=str(tls.file), HTTPS_PROXY=named)

            assert answer.status_code == 200
            assert vendor.last.header("proxy-authorization") is None
            assert f"through the proxy {proxy.url}" in log
            assert PASSWORD not in log


async def test_no_proxy_and_what_is_near_go_directly(tmp_path: Path) -> None:
    async with HttpProxy("http://127.0.0.1:9") as proxy, ScriptedUpstream() as near:
        near.script = say
        table = backend_table("near", near.url, ["m"], type="openai", api_key_env="VENDOR_KEY")
        (tmp_path / "nexus.toml").write_text(config_text(table))

        answer, log = await ask(tmp_path, HTTP_PROXY=proxy.url, ALL_PROXY=proxy.url)

        assert answer.status_code == 200
        assert proxy.connections == 0
        assert "through the proxy" not in log


async def test_a_proxy_that_refuses_is_named_to_client_log_and_check(
    tmp_path: Path, tls: Tls
) -> None:
    async with HttpProxy("http://127.0.0.1:9", credentials=("me", PASSWORD)) as proxy:
        config(tmp_path)
        named = proxy.url.replace("://", "://me:wrong-wrong@")

        answer, log = await ask(tmp_path, HTTPS_PROXY=named)
        checking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nexus_tui.cli", "check", "--port", "0"),
            cwd=tmp_path,
            env=clean_environment(tmp_path, VENDOR_KEY=KEY, HTTPS_PROXY=named),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(20):
            checked, _ = await checking.communicate()

        told = f"the proxy {proxy.url} rejects the user name and password (407)"
        assert answer.status_code == 502
        assert told in answer.text
        assert told in log
        assert told in checked.decode()
        assert checking.returncode == 1
        assert not [text for text in (answer.text, log, checked.decode()) if "wrong-wrong" in text]
