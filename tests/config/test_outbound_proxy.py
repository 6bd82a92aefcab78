"""Which proxy a backend is reached through: its own, or what the environment says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.load import load_config
from nexus_core.config.outbound_proxy import (
    OutboundProxy,
    is_private_host,
    proxy_of_environment,
    read_proxy_url,
)
from nexus_core.config.save import backend_table
from nexus_core.config.schema import BackendConfig
from nexus_core.discovery.cloud import cloud_backend, cloud_keys
from nexus_core.errors import ConfigError
from nexus_core.types import PrivacyZone

CLOUD = "https://api.openai.com/v1"
SECRET = "hush-hush"  # noqa: S105  nobody's

P = OutboundProxy("http", "proxy", 3128)


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy:3128", P),
        ("http://proxy:3128/", P),
        ("http://proxy", OutboundProxy("http", "proxy", 80)),
        ("https://proxy", OutboundProxy("https", "proxy", 443)),
        ("socks5://10.0.0.1", OutboundProxy("socks5", "10.0.0.1", 1080)),
        ("socks5h://proxy:9050", OutboundProxy("socks5h", "proxy", 9050)),
        ("http://[::1]:3128", OutboundProxy("http", "::1", 3128)),
        ("http://me:a%40b@proxy:3128", OutboundProxy("http", "proxy", 3128, "me", "a@b")),
    ],
)
def test_a_proxys_url_is_read(text: str, proxy: OutboundProxy) -> None:
    assert read_proxy_url(text) == proxy


@pytest.mark.parametrize(
    "text",
    ["proxy:3128", "ftp://proxy", "socks4://proxy", "http://", "http://proxy:x", "http://proxy:0",
     "http://proxy/path", "http://proxy?x", "http://proxy#x", "http://pro xy", "http://[::1"],
)  # fmt: skip
def test_what_is_no_proxys_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|contains) "):
        read_proxy_url(text)


def test_a_proxy_is_shown_without_its_credentials() -> None:
    proxy = read_proxy_url(f"http://me:{SECRET}@[::1]:3128")

    assert str(proxy) == proxy.url == "http://[::1]:3128"
    assert SECRET not in repr(proxy)
    assert "user" not in repr(proxy)


ENVIRONMENTS: list[tuple[dict[str, str], str, str | None]] = [
    ({}, CLOUD, None),
    ({"HTTPS_PROXY": "http://proxy:3128"}, CLOUD, "http://proxy:3128"),
    ({"https_proxy": "http://proxy:3128"}, CLOUD, "http://proxy:3128"),
    ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, CLOUD, "http://b:1"),
    ({"HTTPS_PROXY": "http://a:1", "https_proxy": ""}, CLOUD, None),
    ({"ALL_PROXY": "socks5://s"}, CLOUD, "socks5://s:1080"),
    ({"all_proxy": "socks://s:7891/"}, CLOUD, "socks5://s:7891"),
    ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:1"}, CLOUD, "http://b:1"),
    ({"HTTP_PROXY": "http://a:1"}, CLOUD, None),
    ({"HTTP_PROXY": "http://a:1"}, "http://api.vendor.example", "http://a:1"),
    ({"HTTPS_PROXY": "http://a:1"}, "http://api.vendor.example", None),
    ({"HTTPS_PROXY": "proxy:3128"}, CLOUD, "http://proxy:3128"),
    ({"HTTPS_PROXY": "HTTP://proxy:3128"}, CLOUD, "http://proxy:3128"),
    ({"HTTPS_PROXY": "  "}, CLOUD, None),
]


@pytest.mark.parametrize(("environ", "url", "proxy"), ENVIRONMENTS)
def test_the_environment_names_a_proxy(
    environ: dict[str, str], url: str, proxy: str | None
) -> None:
    found = proxy_of_environment(url, environ)

    assert (found and found.url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("*", CLOUD, True),
        ("api.openai.com", CLOUD, True),
        ("openai.com", CLOUD, True),
        (".openai.com", CLOUD, True),
        ("*.openai.com", CLOUD, True),
        ("OPENAI.COM", CLOUD, True),
        ("penai.com", CLOUD, False),
        ("com.openai", CLOUD, False),
        ("a.example, b.example openai.com", CLOUD, True),
        ("api.openai.com:443", CLOUD, True),
        ("api.openai.com:8443", CLOUD, False),
        ("https://api.openai.com", CLOUD, True),
        ("", CLOUD, False),
        (",,", CLOUD, False),
        ("8.8.4.0/24", "https://8.8.4.7", True),
        ("8.8.4.7", "https://8.8.4.7", True),
        ("8.8.4.7:443", "https://8.8.4.7", True),
        ("8.8.8.0/24", "https://8.8.4.8", False),
        ("2606:4700::/32", "https://[2606:4700::1]", True),
        ("[2606:4700::1]:443", "https://[2606:4700::1]", True),
        ("2606:4700::1", "https://[2606:4700::2]", False),
    ],
)
def test_no_proxy_names_what_is_reached_directly(no_proxy: str, url: str, is_direct: bool) -> None:
    environ = {"HTTPS_PROXY": "http://proxy:3128"}

    assert (proxy_of_environment(url, environ | {"NO_PROXY": no_proxy}) is None) is is_direct
    assert (proxy_of_environment(url, environ | {"no_proxy": no_proxy}) is None) is is_direct


@pytest.mark.parametrize(
    ("host", "is_private"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
        ("10.1.2.3", True), ("192.168.1.5", True), ("172.16.0.1", True), ("169.254.1.1", True),
        ("100.100.1.1", True), ("fd00::1", True), ("fe80::1%eth0", True), ("::ffff:10.0.0.1", True),
        ("box", True), ("box.local", True), ("host.docker.internal", True), ("nas.lan", True),
        ("api.localhost", True), ("0.0.0.0", True),  # noqa: S104  a text
        ("api.openai.com", False), ("8.8.8.8", False), ("2606:4700::1", False),
        ("172.32.0.1", False), ("local.example", False),
    ],
)  # fmt: skip
def test_near_is_what_is_private(host: str, is_private: bool) -> None:
    assert is_private_host(host) is is_private
    shown = f"[{host}]" if ":" in host else host
    if "%" not in host:
        found = proxy_of_environment(f"https://{shown}", {"HTTPS_PROXY": "http://proxy:3128"})
        assert (found is None) is is_private


# The configuration


def load(tmp_path: Path, *lines: str, **environ: str) -> BackendConfig:
    path = tmp_path / "nexus.toml"
    head = ["[[backends]]", 'name = "a"', 'url = "https://api.vendor.example"']
    path.write_text("\n".join([*head, *lines]))
    config = load_config(path, {"A_KEY": "k"} | environ)
    assert config.unusable == ()
    return config.backends[0]


OPENAI = ('type = "openai"', 'api_key_env = "A_KEY"')


def test_a_backends_own_proxy_wins_over_the_environment(tmp_path: Path) -> None:
    named = load(tmp_path, *OPENAI, 'proxy = "http://proxy:3128"', HTTPS_PROXY="http://other:1")
    unnamed = load(tmp_path, *OPENAI, HTTPS_PROXY="http://other:1")

    assert named.via == P
    assert unnamed.via == OutboundProxy("http", "other", 1)


def test_the_environment_is_for_cloud_types_only(tmp_path: Path) -> None:
    assert load(tmp_path, 'type = "vllm"', HTTPS_PROXY="http://other:1").via is None
    assert load(tmp_path, 'type = "vllm"', 'proxy = "http://proxy:3128"').via == P


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (f'"http://me:{SECRET}@proxy:3128"', "must not contain a user name or password"),
        ('"proxy:3128"', "must be http://, https:// or socks5://"),
        ("3128", "must be a string"),
    ],
)
def test_a_wrong_proxy_is_told_and_a_password_never_repeated(
    tmp_path: Path, value: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, *OPENAI, f"proxy = {value}")

    found = "\n".join(refused.value.lines)
    assert f"backends[0].proxy: {told}" in found
    assert SECRET not in found


def test_the_worked_out_proxy_is_no_key_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        load(tmp_path, *OPENAI, 'via = "http://proxy:3128"')


def test_a_variable_that_names_no_proxy_leaves_the_backend_out_and_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "nexus.toml"
    path.write_text("\n".join(["[[backends]]", 'name = "a"', 'url = "https://h.example"', *OPENAI]))

    config = load_config(path, {"A_KEY": "k", "HTTPS_PROXY": f"socks4://me:{SECRET}@proxy"})

    (left_out,) = config.unusable
    assert left_out.why.startswith('backend "a": HTTPS_PROXY must be http://')
    assert SECRET not in left_out.why


def test_a_cloud_that_is_offered_goes_the_same_way() -> None:
    environ = {"OPENAI_API_KEY": "k", "https_proxy": "http://proxy:3128"}
    key = next(key for key in cloud_keys(environ) if key.type is BackendType.OPENAI)

    backend = cloud_backend(key, environ)

    assert isinstance(backend, BackendConfig)
    assert backend.via == P


def test_a_proxy_is_saved_as_it_is_written(tmp_path: Path) -> None:
    backend = load(tmp_path, *OPENAI, 'proxy = "socks5://proxy"')

    assert 'proxy = "socks5://proxy"\n' in backend_table(backend)


def test_no_text_of_a_backend_tells_a_password() -> None:
    backend = BackendConfig(
        name="a",
        url=CLOUD,
        type=BackendType.OPENAI,
        zone=PrivacyZone.OPEN,
        via=read_proxy_url(f"http://me:{SECRET}@proxy:3128"),
    )
    shown: list[Callable[[BackendConfig], str]] = [repr, str, backend_table]

    assert not [text for show in shown if SECRET in (text := show(backend))]
