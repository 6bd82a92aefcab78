"""nexus.toml: where it is found, what is wrong with it and on which line, what the keys become."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.load import Overrides, find_config, load_config
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.config.sections.base import at_start
from nexus_core.config.toml_lines import locate
from nexus_core.errors import ConfigError
from nexus_core.types import PrivacyZone

BACKEND = '[[backends]]\nname = "a"\nurl = "http://h:1"\ntype = "vllm"\n'
CLOUD = '[[backends]]\nname = "c"\nurl = "https://h"\ntype = "openai"\napi_key_env = "C_KEY"\n'


def write(directory: Path, text: str) -> Path:
    path = directory / "nexus.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(directory: Path, text: str, **environ: str) -> Config:
    return load_config(write(directory, text), environ)


def problems(directory: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(directory, text, **environ)
    return [line.removeprefix(f"{directory}/") for line in caught.value.problems]


# What the values become


@pytest.mark.parametrize(
    "url",
    [
        "http://h:1/",
        "https://h/v1",
        "https://h/v1beta/openai/",
        "https://h/api/paas/v4",
        "http://[::1]:8080/v1/chat/completions",
    ],
)
def test_a_url_stays_as_it_is_written(tmp_path: Path, url: str) -> None:
    config = load(tmp_path, BACKEND.replace("http://h:1", url))

    assert config.backends[0].url == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://h/v1?key=abcdefg", "without ? or #"),
        ("https://h/v1#top", "without ? or #"),
        (
            "https://h/openai/deployments/d?api-version=2024-10-21",
            "/openai/v1 needs no api-version",
        ),
        ("https://me:abcdefg@h/v1", "not contain a user name or password"),
    ],
)
def test_a_url_holds_neither_query_nor_credentials(tmp_path: Path, url: str, told: str) -> None:
    (found,) = problems(tmp_path, BACKEND.replace("http://h:1", url))

    assert told in found
    assert "abcdefg" not in found


@pytest.mark.parametrize(
    "url", ["h:1", "ftp://h", "http://", "http://h:x", "http://[::1", "http://h a"]
)
def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    (found,) = problems(tmp_path, BACKEND.replace("http://h:1", url))

    assert found.startswith("nexus.toml:3: backends[0].url: ")


def test_models_are_a_list_or_a_table_or_discovered(tmp_path: Path) -> None:
    assert load(tmp_path, BACKEND).backends[0].models is None
    assert load(tmp_path, BACKEND + 'models = ["m"]').backends[0].models == {"m": "m"}
    assert load(tmp_path, BACKEND + "models = {a = 'b'}").backends[0].models == {"a": "b"}


def test_a_zone_is_implied_by_the_type(tmp_path: Path) -> None:
    config = load(tmp_path, BACKEND + CLOUD, C_KEY="k")

    assert [b.zone for b in config.backends] == [PrivacyZone.RESTRICTED, PrivacyZone.OPEN]


def test_a_whole_number_is_good_where_a_fraction_is_allowed(tmp_path: Path) -> None:
    assert load(tmp_path, "[server]\nidle_timeout_seconds = 7").server.idle_timeout_seconds == 7.0


def test_three_aliases_in_a_row_are_allowed(tmp_path: Path) -> None:
    assert load(tmp_path, "[routing.aliases]\na='b'\nb='c'\nc='d'").routing.aliases["c"] == "d"


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "C_KEY is not set; export it or remove the backend"),
        ({"C_KEY": " "}, "C_KEY is empty; export it or remove the backend"),
        ({"C_KEY": "a\nb"}, "C_KEY contains a character not allowed in HTTP headers"),
    ],
)
def test_a_backend_without_its_key_is_left_out(
    tmp_path: Path, environ: dict[str, str], why: str
) -> None:
    config = load(tmp_path, CLOUD + BACKEND, **environ)

    assert [backend.name for backend in config.backends] == ["a"]
    assert [backend.why for backend in config.unusable] == [f'backend "c": {why}']


@pytest.mark.parametrize("kind", ["anthropic", "google"])
def test_every_cloud_type_is_served(tmp_path: Path, kind: str) -> None:
    config = load(tmp_path, CLOUD.replace("openai", kind), C_KEY="k")

    assert config.unusable == ()
    assert config.backends[0].type is BackendType(kind)


def test_keys_do_not_show_in_a_repr(tmp_path: Path) -> None:
    config = load(
        tmp_path, CLOUD, C_KEY="k-backend", NEXUS_API_KEYS="k-client", NEXUS_ADMIN_KEY="k-a"
    )

    assert config.backends[0].api_key == "k-backend"
    assert "k-" not in repr(config).replace("key-1", "")


# Options, variables, keys


def test_an_option_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nport = 2")

    assert load_config(None, {}).server.port == 8000
    assert load_config(path, {}).server.port == 2
    assert load_config(path, {"NEXUS_PORT": "3"}).server.port == 3
    assert load_config(path, {"NEXUS_PORT": "3"}, Overrides(port=4)).server.port == 4
    assert load_config(path, {"NEXUS_HOST": "::1"}).server.host == "::1"


def test_client_keys_may_have_names() -> None:
    auth = load_config(None, {"NEXUS_API_KEYS": " k1 ,team:k2", "NEXUS_ADMIN_KEY": "adm"}).auth

    assert [(key.name, key.value) for key in auth.api_keys] == [("key-1", b"k1"), ("team", b"k2")]
    assert auth.admin_key == b"adm"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is set but empty"),
        (" ", "is set but empty"),
        ("hush,", "entry 2 is empty"),
        ("hush,name:", "entry 2 is empty"),
        (":hush", "entry 1 has no usable name"),
        ("hush hush", "entry 1 contains a character"),
        ("a:hush,a:hush2", "contains a duplicate name"),
        ("a:hush,b:hush", "contains a duplicate key"),
    ],
)
def test_client_keys_that_are_no_keys_are_refused(text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(None, {"NEXUS_API_KEYS": text})

    assert "hush" not in str(caught.value)


def test_an_empty_admin_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="NEXUS_ADMIN_KEY: is empty"):
        load_config(None, {"NEXUS_ADMIN_KEY": ""})


@pytest.mark.parametrize(
    "environ",
    [
        {"NEXUS_PORT": "tcp://10.0.0.1:8000"},
        {"NEXUS_PORT": "tcp://[fd00::1]:8000"},
        {"NEXUS_PORT": "UDP://10.0.0.1:8000"},
        {"NEXUS_HOST": "tcp://172.17.0.5:8000"},
        {"NEXUS_CONFIG": "tcp://10.0.0.1:8000"},
    ],
)
def test_a_variable_that_is_not_meant_for_nexus_is_passed_over_with_a_note(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert find_config(None, environ, tmp_path) is None
    config = load(tmp_path, '[server]\nport = 7\nhost = "127.0.0.2"', **environ)

    (name,) = environ
    assert (config.server.host, config.server.port) == ("127.0.0.2", 7)
    assert len(config.notes) == 1
    assert config.notes[0].startswith(f'{name} is ignored: "{environ[name]}" is set by Kuber')


def test_the_engines_old_name_is_read_as_its_new_one_and_told(tmp_path: Path) -> None:
    old = load(tmp_path, '[server]\nport = 7\nupstream = "aiohttp"')
    new = load(tmp_path, '[server]\nport = 7\nupstream = "http1"')

    assert (old.server, old.server.upstream) == (new.server, "http1")
    assert old.outdated == (
        'server.upstream: "aiohttp" is now "http1", and is read as that; correct the file',
    )
    assert new.outdated == ()


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_is_one_that_is_not_set(tmp_path: Path, empty: str) -> None:
    environ = {"NEXUS_HOST": empty, "NEXUS_PORT": empty, "NEXUS_CONFIG": empty}

    config = load(tmp_path, "[server]\nport = 7", **environ)

    assert (config.server.host, config.server.port, config.notes) == ("127.0.0.1", 7, ())


@pytest.mark.parametrize("port", ["80a", "tcp:8000", "http://h:1", "70000", "-1"])
def test_a_really_wrong_port_is_still_told(tmp_path: Path, port: str) -> None:
    (found,) = problems(tmp_path, "", NEXUS_PORT=port)

    assert found.startswith("NEXUS_PORT: ")


def test_a_note_is_no_key_of_the_file(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "notes = []")

    assert "unknown key" in found


def test_a_folder_that_may_not_be_looked_into_has_no_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)

    assert find_config(None, {}, tmp_path) is None


def test_other_machines_need_a_key(tmp_path: Path) -> None:
    text = '[server]\nhost = "0.0.0.0"'

    (found,) = problems(tmp_path, text)

    assert found.startswith("nexus.toml:2: server.host: ")
    assert "set NEXUS_API_KEYS" in found
    assert load(tmp_path, text, NEXUS_API_KEYS="k").server.host == "0.0.0.0"  # noqa: S104
    with pytest.raises(ConfigError, match=r"^--host: .*NEXUS_API_KEYS"):
        load_config(None, {}, Overrides(host="192.0.2.1"))
    with pytest.raises(ConfigError, match=r"^NEXUS_HOST: .*NEXUS_API_KEYS"):
        load_config(None, {"NEXUS_HOST": "::", "NEXUS_ADMIN_KEY": "k"})


@pytest.mark.parametrize("host", ["a b", "a\tb"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="NEXUS_HOST: is not an address"):
        load_config(None, {"NEXUS_HOST": host, "NEXUS_API_KEYS": "k"})


def test_a_missing_key_is_told_at_its_table() -> None:
    lines = locate("[a.b]\nx = 1\n\n[a]\ny = 2\n[[c]]\n[[c]]\n")

    assert lines[("a",)] == 4
    assert lines[("c", 0)] == 6
    assert lines[("c", 1)] == 7


def test_a_backend_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    inline = 'backends = [{ name = "a", url = "http://h:1", type = "vllm" }]'

    assert load(tmp_path, inline).backends == load(tmp_path, BACKEND).backends
    assert isinstance(load(tmp_path, inline).backends[0], BackendConfig)


def test_the_schema_says_which_keys_need_a_restart() -> None:
    assert at_start(Config) == ("auth", "queue", "storage", "fleet")
    assert at_start(ServerConfig) == (
        "host",
        "port",
        "workers",
        "max_connections",
        "drain_seconds",
        "shutdown_grace_seconds",
        "upstream",
    )
    assert at_start(RoutingConfig) == ()
